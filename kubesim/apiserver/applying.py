"""Server-side apply: a client says which fields it wants, and owns them from then on.

Upstream: apiserver/pkg/endpoints/handlers/patch.go:applyPatcher,
apimachinery/pkg/util/managedfields/internal/{fieldmanager,lastappliedmanager,lastappliedupdater,conflict}.go @v1.36
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from kubesim.api.objects import Object
from kubesim.api.ownership.checking import structure_problem
from kubesim.api.ownership.comparing import compare, fields_of
from kubesim.api.ownership.field_sets import FieldSet, difference, paths_of, text_of, union
from kubesim.api.ownership.managers import (
    APPLY,
    BEFORE_FIRST_APPLY,
    Applied,
    ApplyConflictError,
    Conflict,
    Manager,
    Owners,
    Structure,
    Writer,
    after_apply,
    after_update,
)
from kubesim.api.ownership.shapes import UntypableError
from kubesim.api.requests import Request
from kubesim.api.schema.check import decoded, find_problems, is_clean
from kubesim.api.timestamps import to_time
from kubesim.apiserver.admission import check_namespace
from kubesim.apiserver.decoding import as_restored, check_name, in_scope
from kubesim.apiserver.field_owning import resets
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.errors import ApiError, Cause, bad_request, conflict, not_found

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"


class Target(NamedTuple):
    """What is applied to: the live object (empty: there is none) and its owners."""

    live: Object
    owners: Owners
    structure: Structure
    api_version: str
    kind: str
    subresource: str


def apply_config(server: ApiServer, request: Request, identity: Identity) -> Object:
    """Create the object or merge into it what the request's configuration says.

    Raises:
        ApiError: 409, others own fields that would change; 400 and 500, the configuration is not one of this kind;
            and what a create or an update may raise.
    """
    kind = request.kind
    old = server.find(kind, request.namespace, request.name)
    if old is None and request.subresource:
        raise not_found(kind.plural, kind.group, request.name)
    owners = {} if old is None else server.ledger.owners_of(old)
    subresource = request.subresource
    structure = Structure(kind.schema, resets(kind, subresource))
    target = Target(old or {}, owners, structure, kind.api_version, kind.kind, subresource)
    obj, owners = merged(server, request, target)
    if obj is None:
        obj = target.live
    metadata = obj.get("metadata") or {}
    if old is None:
        if metadata.get("uid"):
            why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
            raise conflict(kind.plural, kind.group, request.name, why)
        check_name(request, metadata)
        if kind.namespaced:
            check_namespace(server.store, kind, request.namespace, metadata)
        metadata = {name: value for name, value in metadata.items() if name != "resourceVersion"}
        return server.create(request, in_scope(kind, {**obj, "metadata": metadata}), identity, owners=owners)
    check_name(request, metadata)
    obj = in_scope(kind, obj)
    return server.replace(kind, old, obj, identity, subresource, request.options, "patched", owners=owners)


def merged(server: ApiServer, request: Request, target: Target) -> Applied:
    """What the request's configuration makes of the target, decoded; None where the live object is that already.

    Raises:
        ApiError: as `apply_config`.
    """
    config, options = request.body, request.options
    _check_config(config, target)
    now = to_time(server.loop.now_ns)
    writer = Writer(options.field_manager, target.api_version, target.subresource)
    owners = target.owners
    if not owners and target.live:
        first = Writer(BEFORE_FIRST_APPLY, target.api_version, target.subresource)
        owners = after_update(owners, {}, target.live, first, now, target.structure)
    try:
        applied = _applied(owners, target, config, writer, now, force=options.force)
    except UntypableError as error:
        raise ApiError(500, "", str(error)) from None
    except ApplyConflictError as error:
        raise _refusal(error.conflicts) from None
    obj = applied.obj
    if obj is not None:
        _check_values(obj, config, target)
    if writer.name == _KUBECTL:
        obj = _with_last_applied(target.live if obj is None else obj, config) or obj
    problems = request.duplicates
    if problems and options.field_validation == "Strict":
        lines = "".join(f"\n  {problem}" for problem in problems)
        text = f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:{lines}"
        raise bad_request(text)
    if options.field_validation in ("", "Warn"):
        server.warnings += problems
    return Applied(None if obj is None else decoded(obj, target.structure.definition), applied.owners)


def _check_config(config: Any, target: Target) -> None:
    """Raise 400 where the body is no object of the kind, 500 where it does not have its structure."""
    if not isinstance(config, dict):
        what = "array" if isinstance(config, list) else "string" if isinstance(config, str) else "number"
        why = f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    given = (config.get(name) for name in ("apiVersion", "kind"))
    given_version, given_kind = (text if isinstance(text, str) else "" for text in given)
    group, _, version = given_version.rpartition("/")
    named = f"{group}/{version}, Kind={given_kind}"
    if (given_version, given_kind) != (target.api_version, target.kind):
        raise bad_request(f"invalid object type: {named}")
    metadata = config.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    problem = structure_problem(target.structure.definition, config)
    if problem:
        raise ApiError(500, "", f"failed to create typed patch object ({_place(metadata)}; {named}): {problem}")


def _place(metadata: Any) -> str:
    """Namespace and name for a text; what is no text counts as none."""
    texts = (metadata.get(field) for field in ("namespace", "name"))
    return "/".join(text if isinstance(text, str) else "" for text in texts)


def _check_values(obj: Object, config: Object, target: Target) -> None:
    """Raise 500 where a value has the structure but not the form of its type: a time, a quantity, base64.

    Upstream: apimachinery/pkg/util/managedfields/internal/structuredmerge.go:Apply, toVersioned @v1.36
    """
    definition = target.structure.definition
    if is_clean(obj, definition):
        return
    problem = next((each for each in find_problems(obj, definition) if each.reason == "type"), None)
    if problem is not None:
        group, _, version = target.api_version.rpartition("/")
        named = f"{group}/{version}, Kind={target.kind}"
        raise ApiError(
            500,
            "",
            f"failed to convert new object ({_place(config.get('metadata') or {})}; {named}) to proper version: "
            f"unable to convert unstructured object to {named}: {as_restored(problem.wire)}",
        )


def _applied(owners: Owners, target: Target, config: Object, writer: Writer, now: str, *, force: bool) -> Applied:
    """The apply; for kubectl, fields that client-side apply has set and nobody changed since are no conflict."""
    try:
        return after_apply(owners, target.live, config, writer, now, target.structure, force=force)
    except ApplyConflictError as error:
        if writer.name != _KUBECTL:
            raise
        allowed = _fields_last_applied(target)
        if allowed is None:
            raise
        left = tuple(
            each._replace(owned=each.owned._replace(fields=fields))
            for each in error.conflicts
            if (fields := difference(each.owned.fields, allowed))
        )
        if left:
            raise ApplyConflictError(left) from None
    return after_apply(owners, target.live, config, writer, now, target.structure, force=True)


def _fields_last_applied(target: Target) -> FieldSet | None:
    """The fields that the annotation of client-side apply has and that are still as it says; None without one.

    Upstream: lastappliedmanager.go:allowedConflictsFromLastApplied @v1.36
    """
    text = (target.live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    try:
        last = json.loads(text) if text else None
        if not isinstance(last, dict) or last.get("apiVersion") != target.api_version:
            return None
        if structure_problem(target.structure.definition, last):
            return None
        changed = compare(target.structure.definition, last, target.live)
    except ValueError:
        return None
    fields = fields_of(target.structure.definition, last)
    return difference(fields, union(union(changed.modified, changed.added), changed.removed))


def _with_last_applied(obj: Object, config: Object) -> Object | None:
    """The object with client-side apply's annotation brought up to date; None where it has none, or it is right."""
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if not annotations.get(_LAST_APPLIED):
        return None
    shown = {**config, "metadata": {**(config.get("metadata") or {})}}
    theirs = {**(shown["metadata"].get("annotations") or {})}
    theirs.pop(_LAST_APPLIED, None)
    shown["metadata"].pop("annotations", None)
    if theirs:
        shown["metadata"]["annotations"] = theirs
    text = json.dumps(shown, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    if text == annotations[_LAST_APPLIED]:
        return None
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, _LAST_APPLIED: text}}}


def _refusal(conflicts: tuple[Conflict, ...]) -> ApiError:
    """409 that names every field and its manager. Upstream: conflict.go:NewConflictError @v1.36"""
    causes = [
        Cause("FieldManagerConflict", text_of(path), f"conflict with {_manager_text(manager, owned.api_version)}")
        for manager, owned in conflicts
        for path in paths_of(owned.fields)
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        lines = []
        for manager, owned in conflicts:
            lines.append(f"conflicts with {_manager_text(manager, owned.api_version)}:")
            lines += [f"- {text_of(path)}" for path in paths_of(owned.fields)]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, causes=causes)


def _manager_text(manager: Manager, api_version: str) -> str:
    text = json.dumps(manager.name, ensure_ascii=False)
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    return text if manager.operation == APPLY else f"{text} using {api_version}"
