"""Which objects a list or watch means, and a list's pages.

Upstream: apiserver/pkg/storage/{selection_predicate.go,continue.go} @v1.36
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import msgspec

from kubesim.api.field_selectors import parse_field_selector
from kubesim.api.objects import Key, Object, labels_of
from kubesim.api.requests import Options
from kubesim.api.scheme import Kind
from kubesim.api.selector_syntax import parse_label_selector
from kubesim.api.selectors import SelectorError
from kubesim.errors import bad_request
from kubesim.store.log import INDEXED_FIELDS, Store
from kubesim.store.watch import Predicate


class Selection(NamedTuple):
    """What to test objects with (None: all match), and the one value of an indexed field, where the selector has it."""

    matches: Predicate | None
    indexed: tuple[str, str] | None


_EVERYTHING = Selection(None, None)


def select(kind: Kind, options: Options) -> Selection:
    """Read the selectors of a request.

    Raises:
        ApiError: 400, a selector cannot be parsed or names a field that cannot be selected on.
    """
    if not options.label_selector and not options.field_selector:
        return _EVERYTHING
    try:
        by_labels = parse_label_selector(options.label_selector).matches if options.label_selector else None
        by_fields = parse_field_selector(kind, options.field_selector) if options.field_selector else None
    except SelectorError as error:
        raise bad_request(str(error)) from None
    if by_fields is None:
        return Selection(None if by_labels is None else lambda obj: by_labels(labels_of(obj)), None)
    matches = by_fields.matches
    index = None
    indexed = INDEXED_FIELDS.get(kind.resource)
    if indexed is not None:
        field, value_of = indexed
        value = by_fields.exact(field)
        if value is not None:
            index = (field, value)
            if len(by_fields.requirements) == 1:
                matches = lambda obj: value_of(obj) == value  # noqa: E731 - the cheap form of the same test
    if by_labels is None:
        return Selection(matches, index)
    return Selection(lambda obj: by_labels(labels_of(obj)) and matches(obj), index)


class _Continue(msgspec.Struct):
    """The token of upstream: where the next page starts, and the revision that all pages show."""

    v: str
    rv: int
    start: str


def _encode(revision: int, after: Key) -> str:
    token = msgspec.json.encode(_Continue("meta.k8s.io/v1", revision, f"{after.namespace}/{after.name}\0"))
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _decode(token: str) -> tuple[int, tuple[str, str]]:
    try:
        padded = token + "=" * (-len(token) % 4)
        found = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Continue)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise bad_request("continue key is not valid: illegal base64 data at input byte 0") from None
    namespace, _, name = found.start.removesuffix("\0").partition("/")
    return found.rv, (namespace, name)


def list_objects(store: Store, kind: Kind, namespace: str, options: Options) -> Object:
    """A List object: what the selectors match, in the order of keys, in pages if `limit` asks for them."""
    selection = select(kind, options)
    table = store.table(kind.resource)
    revision, start = (store.revision, None) if not options.continue_token else _decode(options.continue_token)
    if revision == store.revision or not options.continue_token:
        objects, keys = (table.by_namespace.get(namespace, {}), None) if namespace else (table.objects, table.keys())
    else:
        objects = store.objects_at(kind.resource, revision)
        keys = None
        if namespace:
            objects = {key: obj for key, obj in objects.items() if key.namespace == namespace}
    if keys is None:
        keys = sorted(objects)
    metadata: Object = {"resourceVersion": str(revision)}
    items = _page(objects, keys, selection.matches, start, options.limit, metadata, revision)
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _page(
    objects: dict[Key, Object],
    keys: list[Key],
    matches: Predicate | None,
    start: tuple[str, str] | None,
    limit: int,
    metadata: Object,
    revision: int,
) -> list[Object]:
    if matches is None and not limit and start is None:
        return [objects[key] for key in keys]
    items: list[Object] = []
    remaining = 0
    for key in keys:
        if start is not None and key <= start:
            continue
        obj = objects[key]
        if matches is not None and not matches(obj):
            continue
        if limit and len(items) == limit:
            remaining += 1
            if matches is not None:
                break
            continue
        items.append(obj)
    if remaining:
        last = items[-1]["metadata"]
        metadata["continue"] = _encode(revision, Key(last.get("namespace", ""), last["name"]))
        if matches is None:
            metadata["remainingItemCount"] = remaining
    return items
