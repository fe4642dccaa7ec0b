"""Any object's row, and tables of them as the API server answers `as=Table`.

Upstream: pkg/printers/storage/storage.go:TableConvertor, apiserver/pkg/registry/rest/table.go @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubesim.api.kinds import EVENTS_K8S_IO_EVENT
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.printing.cluster import CLUSTER
from kubesim.printing.others import CREATED_AT, NEW_EVENT, OTHERS
from kubesim.printing.row import Printed
from kubesim.printing.workloads import WORKLOADS

_PRINTED: Final[dict[str, Printed]] = {**WORKLOADS, **CLUSTER, **OTHERS}
_DESCRIPTIONS: Final = {
    "Name": (
        "Name must be unique within a namespace. Is required when creating resources, although some resources may "
        "allow a client to request the generation of an appropriate name automatically. Name is primarily intended "
        "for creation idempotence and configuration definition. Cannot be updated. More info: "
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
    ),
}


def printed(kind: Kind) -> Printed:
    """How a kind is printed; those without columns of their own show when they were created."""
    if kind is EVENTS_K8S_IO_EVENT:
        return NEW_EVENT
    return _PRINTED.get(kind.resource, CREATED_AT)


def table_of(
    kind: Kind,
    objects: Sequence[Object],
    metadata: Object,
    version: str,
    now_ns: int,
    *,
    has_columns: bool = True,
    includes: str = "Metadata",
) -> Object:
    """The `Table` of objects; `includes` says what of each goes with its row: Metadata, Object or None."""
    columns, row = printed(kind)
    definitions: list[Any] | None = None
    if has_columns:
        definitions = [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": _DESCRIPTIONS.get(column.name, ""),
                "priority": column.priority,
            }
            for column in columns
        ]
    api_version = f"meta.k8s.io/{version}"
    rows = []
    for obj in objects:
        cells: Object = {"cells": row(obj, now_ns), "object": None}
        if includes == "Metadata":
            cells["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": api_version,
                "metadata": obj["metadata"],
            }
        elif includes == "Object":
            cells["object"] = {"kind": kind.kind, "apiVersion": kind.api_version, **obj}
        rows.append(cells)
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }
