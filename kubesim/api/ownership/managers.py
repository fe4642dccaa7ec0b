"""Who manages which fields of an object, and what a write makes of it.

`Owners` is a value: every write gives a new one. An entry's identity is its `Manager`; for appliers the version is no
part of that, so that somebody who applies has one entry whatever the version.

Upstream: structured-merge-diff/v6/merge/update.go, apimachinery/pkg/util/managedfields/internal @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubesim.api.objects import Object
from kubesim.api.ownership.comparing import Comparison, compare, fields_of
from kubesim.api.ownership.field_sets import EMPTY, FieldSet, difference, intersection, of_paths, union, without
from kubesim.api.ownership.merging import merge, remove, with_parents

UPDATE, APPLY = "Update", "Apply"
BEFORE_FIRST_APPLY = "before-first-apply"
_ANCIENT = "ancient-changes"
# Upstream: managedfields/internal/fieldmanager.go:DefaultMaxUpdateManagers
_UPDATERS_MAX = 10
# Upstream: managedfields/internal/stripmeta.go:NewStripMetaManager
_STRIPPED = of_paths(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    ]
)


class Manager(NamedTuple):
    """What tells one entry from another. `api_version` is empty for appliers."""

    name: str
    operation: str
    api_version: str
    subresource: str


class Owned(NamedTuple):
    """One manager's fields, the version in which they are named, and when they changed (`""`: nobody knows)."""

    fields: FieldSet
    api_version: str
    time: str


class Writer(NamedTuple):
    """Who writes how: a manager's name, through which version and subresource."""

    name: str
    api_version: str
    subresource: str = ""

    def manager(self, operation: str) -> Manager:
        """The identity of the writer's entry."""
        version = "" if operation == APPLY else self.api_version
        return Manager(self.name or "unknown", operation, version, self.subresource)


Owners = dict[Manager, Owned]
NOBODY: Owners = {}


class Version(NamedTuple):
    """What is known of one version of a kind: its definition, and what the strategy of the subresource written to
    resets, which nobody can own by that write."""

    definition: str
    resets: FieldSet


# Versions by `apiVersion`; a version that there is no longer has none.
FindVersion = Callable[[str], Version | None]


class Conflict(NamedTuple):
    """A field that an apply would take from another manager."""

    manager: Manager
    owned: Owned


class ApplyConflictError(Exception):
    """An apply without force met fields of others. `conflicts` have those fields alone."""

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


def after_update(
    owners: Owners, old: Object, new: Object, writer: Writer, time: str, version_of: FindVersion
) -> Owners:
    """The owners after a create, update or patch that made `new` of `old` (`{}`: it is new).

    Raises:
        UntypableError: an item of a list cannot be told from others.
    """
    comparison, owners = _taken(owners, old, new, writer.api_version, None, version_of)
    version = _known(version_of, writer.api_version)
    fields = without(union(comparison.modified, comparison.added), version.resets)
    fields = difference(fields, _STRIPPED)
    if not fields:
        return owners
    manager = writer.manager(UPDATE)
    before = owners.get(manager)
    if before is not None:
        fields = union(fields, before.fields)
    return _capped({**owners, manager: Owned(fields, writer.api_version, time)})


def _known(version_of: FindVersion, api_version: str) -> Version:
    version = version_of(api_version)
    if version is None:
        raise LookupError(api_version)
    return version


def _taken(
    owners: Owners, old: Object, new: Object, api_version: str, mine: Manager | None, version_of: FindVersion
) -> tuple[Comparison, Owners]:
    """The comparison in the version written, and the owners without what others lose to `new`."""
    comparisons: dict[str, Comparison] = {}

    def compared(name: str, version: Version) -> Comparison:
        if name not in comparisons:
            found = compare(version.definition, old, new)
            comparisons[name] = found.ignoring(version.resets)
        return comparisons[name]

    left: Owners = {}
    for manager, owned in owners.items():
        version = version_of(owned.api_version)
        if manager == mine:
            left[manager] = owned
        elif version is not None:
            removed, modified, added = compared(owned.api_version, version)
            fields = difference(difference(owned.fields, union(modified, added)), removed)
            if fields is owned.fields:
                left[manager] = owned
            elif fields:
                left[manager] = owned._replace(fields=fields)
    return compared(api_version, _known(version_of, api_version)), left


def _capped(owners: Owners) -> Owners:
    """At most ten updaters: the oldest of one version are one entry then.

    Upstream: managedfields/internal/capmanagers.go:capUpdateManagers @v1.36
    """
    updaters = [manager for manager in owners if manager.operation == UPDATE]
    excess = len(updaters) - _UPDATERS_MAX
    if excess <= 0:
        return owners
    owners = {**owners}
    first_of: dict[str, Manager] = {}
    for manager in sorted(updaters, key=lambda each: (owners[each].time, identity_text(each))):
        if excess <= 0:
            break
        fields, version, time = owners[manager]
        first = first_of.setdefault(version, manager)
        if first is manager:
            continue
        bucket = Manager(_ANCIENT, UPDATE, version, "")
        if bucket not in owners:
            owners[bucket] = owners.pop(first)
        owners[bucket] = Owned(union(fields, owners[bucket].fields), version, time)
        del owners[manager]
        excess -= 1
    return owners


def identity_text(manager: Manager) -> str:
    """Upstream's key of an entry, by which it sorts. Upstream: managedfields.go:BuildManagerIdentifier @v1.36"""
    import json

    shown = {"manager": manager.name, "operation": manager.operation}
    if manager.api_version:
        shown["apiVersion"] = manager.api_version
    if manager.subresource:
        shown["subresource"] = manager.subresource
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


# --- apply ---


class Applied(NamedTuple):
    """What an apply makes: the object, or None where the live one is that already; and who owns what then."""

    obj: Object | None
    owners: Owners


def after_apply(
    owners: Owners, live: Object, config: Object, writer: Writer, time: str, version_of: FindVersion, *, force: bool
) -> Applied:
    """What applying `config` to `live` (`{}`: there is none) makes of it and of its owners.

    Raises:
        ApplyConflictError: others own fields that would change, and force is not used.
        UntypableError: an item of a list cannot be told from others.
    """
    version = _known(version_of, writer.api_version)
    merged = merge(version.definition, live, config)
    manager = writer.manager(APPLY)
    last = owners.get(manager)
    fields = without(fields_of(version.definition, config), version.resets)
    owners = {**owners, manager: Owned(fields, writer.api_version, last.time if last is not None else "")}
    merged = _pruned(merged, owners, last, version_of)
    if not force:
        _check_conflicts(owners, live, merged, manager, version_of)
    _, owners = _taken(owners, live, merged, writer.api_version, manager, version_of)
    is_same = merged == live
    mine = owners.pop(manager)
    stripped = difference(mine.fields, _STRIPPED)
    if stripped:
        owners[manager] = Owned(stripped, mine.api_version, mine.time if is_same else time)
    return Applied(None if is_same else merged, owners)


def _check_conflicts(owners: Owners, live: Object, new: Object, mine: Manager, version_of: FindVersion) -> None:
    conflicts = []
    for manager, owned in owners.items():
        version = version_of(owned.api_version)
        if manager == mine or version is None:
            continue
        found = compare(version.definition, live, new)
        _, modified, added = found.ignoring(version.resets)
        shared = intersection(owned.fields, union(modified, added))
        if shared:
            conflicts.append(Conflict(manager, owned._replace(fields=shared)))
    if conflicts:
        raise ApplyConflictError(tuple(sorted(conflicts, key=lambda each: identity_text(each.manager))))


def _pruned(merged: Object, owners: Owners, last: Owned | None, version_of: FindVersion) -> Object:
    """`merged` without what its applier named the last time, names no more, and nobody else owns.

    Upstream: structured-merge-diff/v6/merge/update.go:prune, addBackOwnedItems, addBackDanglingItems
    """
    version = None if last is None else version_of(last.api_version)
    if last is None or version is None or not last.fields:
        return merged
    definition = version.definition
    named = with_parents(definition, last.fields)
    pruned = remove(definition, merged, named)
    kept = EMPTY
    for owned in owners.values():
        kept = union(kept, owned.fields)
    everything = with_parents(definition, fields_of(definition, merged))
    left = with_parents(definition, fields_of(definition, pruned))
    pruned = remove(definition, merged, difference(everything, union(left, with_parents(definition, kept))))
    left = with_parents(definition, fields_of(definition, pruned))
    return remove(definition, merged, intersection(difference(everything, left), named))
