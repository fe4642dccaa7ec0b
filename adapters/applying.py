"""Server-side apply of manifests with our field manager: each object says what became of it, conflicts as kubectl says.

Applying is idempotent: an interrupted apply is run again, and an object that is as its manifest says is not written.
Upstream: kubectl/pkg/cmd/apply/apply.go:applyOneObject @v1.36
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from adapters.connection import FIELD_MANAGER, Connection
from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request, get
from kubesim.errors import ApiError, UserError
from kubesim.manifests import Manifest

_CONFLICT_ADVICE: Final = (
    "these fields have other managers: leave them out of the manifest, or take them over with --force-conflicts"
)

_MARK: Final = "kubesim.dev/applied-by"
_IDENTITY: Final = {"apiVersion", "kind", "metadata"}
_NAMES: Final = {"name", "namespace"}


class Applied(NamedTuple):
    """One object after its apply; `verb` is created, configured or unchanged."""

    manifest: Manifest
    object: Object
    verb: str


async def apply_all(
    connection: Connection, manifests: Sequence[Manifest], *, is_dry: bool = False, is_forced: bool = False
) -> AsyncIterator[Applied]:
    """Apply one after the other, telling each; stops at the first that is refused.

    Raises:
        UserError: the server refuses one, with its file and line.
    """
    absent: set[str] = set()
    for manifest in manifests:
        metadata = manifest.object["metadata"]
        before = await find(connection, manifest)
        if is_dry and before is None and metadata.get("namespace") in absent:
            # The server cannot try what belongs into a namespace that is not there yet.
            yield Applied(manifest, manifest.object, "created")
            continue
        after = await _apply(connection, manifest, is_dry=is_dry, is_forced=is_forced)
        if before is None and manifest.kind.kind == "Namespace":
            absent.add(metadata["name"])
        yield Applied(manifest, after, _verb(before, after))


async def find(connection: Connection, manifest: Manifest) -> Object | None:
    """The object of a manifest as the cluster has it now."""
    metadata = manifest.object["metadata"]
    try:
        return await connection.send(get(manifest.kind, metadata.get("namespace", ""), metadata["name"]))
    except ApiError as error:
        if error.code == 404:
            return None
        raise UserError(f"{manifest.locate('')}: {error.message}") from error


async def _apply(connection: Connection, manifest: Manifest, *, is_dry: bool, is_forced: bool) -> Object:
    metadata = manifest.object["metadata"]
    if not metadata.get("name"):
        place = manifest.locate("metadata.generateName")
        raise UserError(f"{place}: cannot use generate name with apply; write metadata.name")
    options = Options(dry_run=is_dry, field_validation="Strict", force=is_forced, patch_type="apply")
    space, name = metadata.get("namespace", ""), metadata["name"]
    try:
        return await connection.send(Request("patch", manifest.kind, space, name, "", _marked(manifest), options))
    except ApiError as error:
        raise UserError(_refusal(manifest, error)) from error


def _refusal(manifest: Manifest, error: ApiError) -> str:
    conflicts = [cause for cause in error.causes if cause.reason == "FieldManagerConflict"]
    if conflicts:
        lines = [f"{manifest.locate(cause.field.lstrip('.'))}: {cause.field}: {cause.message}" for cause in conflicts]
        return "\n".join([f"{manifest.locate('')}: {error.message.partition(': ')[0]}", *lines, _CONFLICT_ADVICE])
    if error.causes:
        name = f"{manifest.kind.kind} {manifest.object['metadata'].get('name', '')}"
        lines = [f"{manifest.locate(each.field)}: {name}: {each.field}: {each.message}" for each in error.causes]
        return "\n".join(lines)
    return f"{manifest.locate('')}: {error.message}"


def _verb(before: Object | None, after: Object) -> str:
    if before is None:
        return "created"
    is_same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return "unchanged" if is_same else "configured"


def _marked(manifest: Manifest) -> Object:
    """The object as we apply it: one without any field that we could own gets a mark, or nobody could tell whose it is.

    Such a one is a bare Namespace: its apply leaves no trace in managedFields, and a second one would write it again.
    """
    obj = manifest.object
    if obj.keys() <= _IDENTITY and obj["metadata"].keys() <= _NAMES:
        return {**obj, "metadata": {**obj["metadata"], "annotations": {_MARK: FIELD_MANAGER}}}
    return obj


def is_ours(obj: Object) -> bool:
    """Whether we have applied the object: our manager holds some of its fields by apply."""
    entries = obj["metadata"].get("managedFields") or ()
    return any(each["manager"] == FIELD_MANAGER and each["operation"] == "Apply" for each in entries)


def is_made_by_us(obj: Object) -> bool:
    """Whether nobody but us has ever written the object's spec: it did not exist before we applied it."""
    entries = obj["metadata"].get("managedFields") or ()
    return is_ours(obj) and all(each["manager"] == FIELD_MANAGER or each.get("subresource") for each in entries)
