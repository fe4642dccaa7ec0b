"""`metadata.managedFields` as the API shows and takes it.

Upstream: apimachinery/pkg/util/managedfields/internal/managedfields.go, fieldmanager.go:decodeLiveOrNew @v1.36
"""

from __future__ import annotations

from typing import Any

from kubesim.api.objects import Object
from kubesim.api.ownership.field_sets import EMPTY, in_order, parse
from kubesim.api.ownership.managers import APPLY, NOBODY, UPDATE, Manager, Owned, Owners

_FIELDS = "FieldsV1"


def encode(owners: Owners) -> list[Object]:
    """The entries: appliers first, then by time, name, version and subresource."""

    def rank(item: tuple[Manager, Owned]) -> tuple[str, ...]:
        manager, owned = item
        return manager.operation, owned.time, manager.name, owned.api_version, manager.subresource

    return [_entry(manager, owned) for manager, owned in sorted(owners.items(), key=rank)]


def _entry(manager: Manager, owned: Owned) -> Object:
    entry: Object = {"manager": manager.name, "operation": manager.operation, "apiVersion": owned.api_version}
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": _FIELDS, "fieldsV1": in_order(owned.fields)}
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def is_reset(given: Any) -> bool:
    """Whether a client's list says that nobody is to own anything any more: `[]` or `[{}]`."""
    return isinstance(given, list) and (not given or (len(given) == 1 and not given[0]))


def decode(given: Any) -> Owners:
    """The owners that a client has sent; none where an entry is not what it should be."""
    owners: Owners = {}
    for entry in given or ():
        operation, version = entry.get("operation"), entry.get("apiVersion")
        if operation not in (APPLY, UPDATE) or not version or entry.get("fieldsType") != _FIELDS:
            return NOBODY
        fields = parse(entry.get("fieldsV1", EMPTY))
        if fields is None:
            return NOBODY
        name, subresource = entry.get("manager", ""), entry.get("subresource", "")
        manager = Manager(name, operation, "" if operation == APPLY else version, subresource)
        owners[manager] = Owned(fields, version, entry.get("time") or "")
    return owners
