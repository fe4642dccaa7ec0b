"""Who manages which fields of an object, and what a write makes of it.

`Owners` is a value: every write gives a new one. An entry's identity is its `Manager`; for appliers the version is no
part of that, so that somebody who applies has one entry whatever the version.

Upstream: structured-merge-diff/v6/merge/update.go, apimachinery/pkg/util/managedfields/internal @v1.36
"""

from __future__ import annotations

from typing import NamedTuple

from kubesim.api.objects import Object
from kubesim.api.ownership.comparing import UNOWNED, UNOWNED_METADATA, Comparison, compare, fields_of
from kubesim.api.ownership.field_sets import EMPTY, FieldSet, difference, intersection, of_paths, union, without
from kubesim.api.ownership.merging import merge, remove, with_parents

UPDATE, APPLY = "Update", "Apply"
BEFORE_FIRST_APPLY = "before-first-apply"
_ANCIENT = "ancient-changes"
# Upstream: managedfields/internal/fieldmanager.go:DefaultMaxUpdateManagers
_UPDATERS_MAX = 10
_STRIPPED = of_paths(
    [
        ("f:metadata",),
        *((f"f:{name}",) for name in UNOWNED),
        *(("f:metadata", f"f:{name}") for name in UNOWNED_METADATA),
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


class Structure(NamedTuple):
    """What is written to: the object's definition, and what the strategy of the subresource puts back, so that nobody
    can own it by that write."""

    definition: str
    resets: FieldSet


class Conflict(NamedTuple):
    """A field that an apply would take from another manager."""

    manager: Manager
    owned: Owned


class ApplyConflictError(Exception):
    """An apply without force met fields of others. `conflicts` have those fields alone."""

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


def after_update(owners: Owners, old: Object, new: Object, writer: Writer, time: str, structure: Structure) -> Owners:
    """The owners after a create, update or patch that made `new` of `old` (`{}`: it is new).

    Owners that name fields in another version than the writer's are dropped, as no kind has two that can be converted.

    Raises:
        UntypableError: an item of a list cannot be told from others.
    """
    comparison = compare(structure.definition, old, new).ignoring(structure.resets)
    fields = union(comparison.modified, comparison.added)
    owners = _left(owners, comparison, fields, writer.api_version, None)
    if not fields:
        return owners
    manager = writer.manager(UPDATE)
    before = owners.get(manager)
    if before is not None:
        fields = union(fields, before.fields)
    return _capped({**owners, manager: Owned(fields, writer.api_version, time)})


def _left(owners: Owners, comparison: Comparison, changed: FieldSet, api_version: str, mine: Manager | None) -> Owners:
    """The owners without what all but one lose to a write, and without those that have nothing left."""
    left: Owners = {}
    for manager, owned in owners.items():
        if manager == mine:
            left[manager] = owned
        elif owned.api_version == api_version:
            fields = difference(difference(owned.fields, changed), comparison.removed)
            if fields is owned.fields:
                left[manager] = owned
            elif fields:
                left[manager] = owned._replace(fields=fields)
    return left


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
    owners: Owners, live: Object, config: Object, writer: Writer, time: str, structure: Structure, *, force: bool
) -> Applied:
    """What applying `config` to `live` (`{}`: there is none) makes of it and of its owners.

    Raises:
        ApplyConflictError: others own fields that would change, and force is not used.
        UntypableError: an item of a list cannot be told from others.
    """
    definition = structure.definition
    merged = merge(definition, live, config)
    manager = writer.manager(APPLY)
    last = owners.get(manager)
    fields = without(fields_of(definition, config), structure.resets)
    owners = {**owners, manager: Owned(fields, writer.api_version, last.time if last is not None else "")}
    if last is not None and last.fields and last.api_version == writer.api_version:
        merged = _pruned(definition, merged, owners, last)
    comparison = compare(definition, live, merged, is_merged=True).ignoring(structure.resets)
    changed = union(comparison.modified, comparison.added)
    if not force:
        _check_conflicts(owners, changed, writer.api_version, manager)
    owners = _left(owners, comparison, changed, writer.api_version, manager)
    is_same = merged == live
    mine = owners.pop(manager)
    stripped = difference(mine.fields, _STRIPPED)
    if stripped:
        owners[manager] = Owned(stripped, mine.api_version, mine.time if is_same else time)
    return Applied(None if is_same else merged, owners)


def _check_conflicts(owners: Owners, changed: FieldSet, api_version: str, mine: Manager) -> None:
    conflicts = []
    for manager, owned in owners.items():
        shared = intersection(owned.fields, changed)
        if shared and manager != mine and owned.api_version == api_version:
            conflicts.append(Conflict(manager, owned._replace(fields=shared)))
    if conflicts:
        raise ApplyConflictError(tuple(sorted(conflicts, key=lambda each: identity_text(each.manager))))


def _pruned(definition: str, merged: Object, owners: Owners, last: Owned) -> Object:
    """`merged` without what its applier named the last time, names no more, and nobody else owns.

    Upstream: structured-merge-diff/v6/merge/update.go:prune, addBackOwnedItems, addBackDanglingItems
    """
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
