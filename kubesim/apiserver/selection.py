"""Which objects a list or watch means, and a list's pages.

Upstream: apiserver/pkg/storage/{selection_predicate.go,continue.go} @v1.36
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from typing import NamedTuple

import msgspec

from kubesim.api.field_selectors import parse_field_selector
from kubesim.api.objects import Key, Object, labels_of
from kubesim.api.requests import Options
from kubesim.api.scheme import Kind
from kubesim.api.selector_syntax import parse_label_selector
from kubesim.api.selectors import SelectorError
from kubesim.apiserver.conversion import from_stored, stored_kind
from kubesim.apiserver.request_options import list_revision
from kubesim.errors import ApiError, bad_request
from kubesim.store.log import INDEXED_FIELDS, Store
from kubesim.store.watch import Predicate


class Selection(NamedTuple):
    """What to test objects with (None: all match), and the one value of an indexed field, where the selector has it.

    `beside_index` is what is left to test of objects that have that value: None, most often.
    """

    matches: Predicate | None
    indexed: tuple[str, str] | None
    beside_index: Predicate | None


_EVERYTHING = Selection(None, None, None)


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
        by_label = None if by_labels is None else lambda obj: by_labels(labels_of(obj))
        return Selection(by_label, None, by_label)
    matches: Predicate = by_fields.matches
    if stored_kind(kind) is not kind:
        matches = lambda obj: by_fields.matches(from_stored(kind, obj))  # noqa: E731 - its other form is a bound method
    index = None
    is_alone = False
    indexed = INDEXED_FIELDS.get(kind.resource)
    if indexed is not None:
        field = indexed[0]
        value = by_fields.exact(field)
        if value is not None:
            index = (field, value)
            is_alone = len(by_fields.requirements) == 1 and by_labels is None
    if by_labels is None:
        return Selection(matches, index, None if is_alone else matches)
    both: Predicate = lambda obj: by_labels(labels_of(obj)) and matches(obj)  # noqa: E731 - as above
    return Selection(both, index, both)


class _Continue(msgspec.Struct):
    """The token of upstream: where the next page starts, and the revision that all pages show (-1: the newest)."""

    v: str
    rv: int
    start: str


_LATEST = -1
_PAGES_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def _encode(revision: int, start: str) -> str:
    token = msgspec.json.encode(_Continue("meta.k8s.io/v1", revision, start))
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _start_after(key: Key, namespace: str) -> str:
    """The token's place behind an object, relative to the namespace that is listed."""
    return f"/{key.name}\0" if namespace or not key.namespace else f"/{key.namespace}/{key.name}\0"


def _decode(token: str) -> _Continue:
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _not_a_token("illegal base64 data at input byte 0") from None
    try:
        found = msgspec.json.decode(text, type=_Continue)
    except msgspec.DecodeError:
        first = text[:1].decode("latin-1")
        printed = first if first.isprintable() and first.isascii() else f"\\u{ord(first or chr(0)):04x}"
        raise _not_a_token(f"invalid character '{printed}' looking for beginning of value") from None
    if found.v != "meta.k8s.io/v1":
        raise _not_a_token(f'server does not recognize this encoded version "{found.v}"')
    return found


def _not_a_token(why: str) -> ApiError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")


def list_objects(store: Store, kind: Kind, namespace: str, options: Options) -> Object:
    """A List object: what the selectors match, in the order of keys, in pages if `limit` asks for them.

    Raises:
        ApiError: 400, selectors, token or revision cannot be read; 410, that revision is forgotten; 504, it is not yet.
    """
    selection = select(kind, options)
    stored = stored_kind(kind)
    table = store.table(stored.resource)
    revision = store.revision
    start: tuple[str, str] | None = None
    wanted = list_revision(options, revision)
    if options.continue_token:
        token = _decode(options.continue_token)
        space, _, name = token.start.removesuffix("\0").removeprefix("/").rpartition("/")
        start = (namespace or space, name)
        if token.rv != _LATEST:
            revision = token.rv
    elif wanted and _is_exact(options):
        revision = wanted
    if revision == store.revision:
        objects = table.in_namespace(namespace) if namespace else table.objects
        keys = sorted(objects) if namespace else table.sorted_keys()
    else:
        objects = _objects_at(store, stored, revision, options.continue_token)
        keys = sorted(key for key in objects if not namespace or key.namespace == namespace)
    if start is not None:
        keys = keys[bisect_right(keys, Key(*start)) :]
    metadata: Object = {"resourceVersion": str(revision)}
    items, last = _page(objects, keys, selection.matches, options.limit, metadata)
    if last is not None:
        metadata["continue"] = _encode(revision, _start_after(last, namespace))
    if stored is not kind:
        items = [from_stored(kind, item) for item in items]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _is_exact(options: Options) -> bool:
    """Whether a list with a resourceVersion wants that very state; pages without a match rule do."""
    match = options.resource_version_match
    return match == "Exact" or (not match and options.limit > 0)


def _objects_at(store: Store, kind: Kind, revision: int, token: str) -> dict[Key, Object]:
    try:
        return store.objects_at(kind.resource, revision)
    except ApiError as error:
        if not token:
            raise
        fresh = _encode(_LATEST, _decode(token).start)
        raise ApiError(error.code, error.reason, _PAGES_EXPIRED, continue_token=fresh) from None


def _page(
    objects: dict[Key, Object],
    keys: list[Key],
    matches: Predicate | None,
    limit: int,
    metadata: Object,
) -> tuple[list[Object], Key | None]:
    """The objects of one page, and the last one's key if more follow."""
    if matches is None:
        if not limit or len(keys) <= limit:
            return [objects[key] for key in keys], None
        metadata["remainingItemCount"] = len(keys) - limit
        return [objects[key] for key in keys[:limit]], keys[limit - 1]
    items: list[Object] = []
    last: Key | None = None
    for key in keys:
        obj = objects[key]
        if matches(obj):
            if limit and len(items) == limit:
                return items, last
            items.append(obj)
            last = key
    return items, None
