"""One step of a random sequence, and the request that it is for the objects that are there when its turn comes.

A step says what a request does in words that hold in every cluster: "the current resourceVersion" instead of a number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from adapters.connection import FIELD_MANAGER
from adapters.parity.bodies import KINDS, TEMPLATES, Change
from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request, Verb
from kubesim.api.scheme import Kind

# Words for what differs from cluster to cluster, where an option has them.
CURRENT: Final = "<current>"
STALE: Final = "1"

_Path = tuple[str, ...]


class Step(NamedTuple):
    """One request. `version` is the resourceVersion of its body, `is_on_current` that its body is the object as it is.

    `raw` is a patch as it stands, where it is not made from `changes`. `options` are fields of `Options`.
    """

    verb: Verb
    resource: str
    name: str = ""
    changes: tuple[Change, ...] = ()
    version: str = ""
    is_on_current: bool = False
    subresource: str = ""
    raw: Any = None
    options: dict[str, Any] = {}  # noqa: RUF012  never changed

    @property
    def kind(self) -> Kind:
        """Of what kind the object is."""
        return KINDS[self.resource]

    def needs_current(self) -> bool:
        """Whether it is about the object as it is, so that it has to be read before."""
        return self.is_on_current or CURRENT in (self.version, *self.options.values())

    def text(self) -> str:
        """It as one readable line."""
        words = [self.verb, self.options.get("patch_type", ""), f"{self.resource}/{self.name}", self.subresource]
        words += [" ".join([change[0], *map(json.dumps, change[1:])]) for change in self.changes]
        words += [f"resourceVersion {self.version}"] if self.version else []
        words += [json.dumps(self.raw)] if self.raw is not None else []
        words += [f"{name}={value}" for name, value in self.options.items() if name != "patch_type"]
        return " ".join(word for word in words if word)


def request_of(step: Step, namespace: str, current: Object | None, token: str) -> Request:
    """The request in a namespace, where `current` is the object it names and `token` that of the last list."""
    kind = step.kind
    place = namespace if kind.namespaced else ""
    name = name_in(step, namespace)
    metadata = (current or {}).get("metadata") or {}
    known = {
        "precondition_uid": metadata.get("uid", "none"),
        "precondition_resource_version": metadata.get("resourceVersion", STALE),
        "continue_token": token,
    }
    given = {field: known[field] if value == CURRENT else value for field, value in step.options.items()}
    body = None
    if step.verb in ("create", "update", "patch"):
        body = _body(step, place, name, current)
        given = {"field_manager": FIELD_MANAGER, **given}
    return Request(step.verb, kind, place, name, step.subresource, body, Options(**given))


def name_in(step: Step, namespace: str) -> str:
    """The object's name; what is in no namespace is told apart by it."""
    return step.name if step.kind.namespaced or not step.name else f"{namespace}-{step.name}"


def _body(step: Step, place: str, name: str, current: Object | None) -> Any:
    if step.raw is not None:
        return step.raw
    patch_type = step.options.get("patch_type", "")
    if step.subresource == "scale":
        base = current if step.is_on_current and current else _scale(place, name)
    elif step.is_on_current and current is not None:
        base = current
    else:
        base = _template(step.kind, place, name)
    if patch_type == "json":
        return [_operation(change) for change in step.changes]
    changed: Any = base
    for change in step.changes:
        changed = changed_at(changed, _parts(change[0]), change[1:])
    version = (current or {}).get("metadata", {}).get("resourceVersion", STALE)
    version = version if step.version == CURRENT else step.version
    if patch_type in ("merge", "strategic"):
        patch: Object = {"metadata": {"resourceVersion": version}} if version else {}
        for change in step.changes:
            patch = _with_part(patch, changed, _upto_list(_parts(change[0])), is_gone=len(change) == 1)
        return patch
    if isinstance(changed.get("metadata"), dict) and (step.verb != "create" or version):
        kept = {field: value for field, value in changed["metadata"].items() if field != "resourceVersion"}
        changed = {**changed, "metadata": {**kept, "resourceVersion": version} if version else kept}
    if patch_type == "apply" and isinstance(changed.get("metadata"), dict):
        changed = {**changed, "metadata": {k: v for k, v in changed["metadata"].items() if k != "managedFields"}}
    return changed


def _template(kind: Kind, place: str, name: str) -> Object:
    metadata: Object = {"name": name, "labels": {"app": "web"}}
    if place:
        metadata["namespace"] = place
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **TEMPLATES[kind.plural]}


def _scale(place: str, name: str) -> Object:
    metadata = {"name": name, "namespace": place}
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": {"replicas": 0}}


def _parts(path: str) -> _Path:
    return tuple(part.replace("~1", "/") for part in path.split("/"))


def _operation(change: Change) -> Object:
    if len(change) == 1:
        return {"op": "remove", "path": "/" + change[0]}
    return {"op": "add", "path": "/" + change[0], "value": change[1]}


def changed_at(value: Any, path: _Path, new: Sequence[Any]) -> Any:
    """A value with what is at the path put there or, if `new` is empty, taken away; what is in the way is replaced."""
    if not path:
        return new[0]
    first, *rest = path
    if first.isdecimal() and isinstance(value, list):
        index = int(first)
        if index >= len(value):
            return value
        return [*value[:index], changed_at(value[index], tuple(rest), new), *value[index + 1 :]]
    fields = value if isinstance(value, dict) else {}
    if not rest and not new:
        return {field: each for field, each in fields.items() if field != first}
    return {**fields, first: changed_at(fields.get(first), tuple(rest), new)}


def _upto_list(path: _Path) -> _Path:
    """A patch that merges has lists whole."""
    numbers = [index for index, part in enumerate(path) if part.isdecimal()]
    return path[: numbers[0]] if numbers else path


def _with_part(patch: Object, changed: Any, path: _Path, *, is_gone: bool) -> Object:
    part = changed
    for field in path:
        part = part.get(field) if isinstance(part, dict) else None
    found: Object = changed_at(patch, path, (None if is_gone else part,))
    return found


def pack(step: Step) -> list[Any]:
    """It as JSON, without the defaults at its end."""
    values = list(step)
    defaults = tuple(Step._field_defaults.values())
    while len(values) > 2 and values[-1] == defaults[len(values) - 3]:
        values.pop()
    return values


def unpack(values: Sequence[Any]) -> Step:
    """The step that `pack` has packed."""
    step = Step(*values)
    return step._replace(changes=tuple(_change(each) for each in step.changes))


def _change(values: Sequence[Any]) -> Change:
    return (values[0], values[1]) if len(values) > 1 else (values[0],)
