"""The tables of a run's end: one per kind, in the columns of `kubectl get` (Pods with address and node)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kubesim.api.kinds import (
    DEPLOYMENT,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    STATEFUL_SET,
)
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.printing.columns import printed

Row = tuple[str, ...]
_SHOWN: Final = {kind.plural: kind for kind in (NODE, DEPLOYMENT, STATEFUL_SET, POD, SERVICE, PERSISTENT_VOLUME_CLAIM)}
KINDS: Final = tuple(_SHOWN)
_WIDE: Final = {"pods": ("IP", "Node")}
_ROWS_MAX: Final = 40


def print_tables(objects: Mapping[str, Sequence[Object]], now_ns: int) -> Iterator[str]:
    """The tables of all kinds that have objects, a blank line between two; `objects` by plural."""
    namespaces = {obj["metadata"].get("namespace", "") for each in objects.values() for obj in each} - {""}
    is_first = True
    for plural, kind in _SHOWN.items():
        found = objects.get(plural) or ()
        if not found:
            continue
        if not is_first:
            yield ""
        is_first = False
        with_namespace = len(namespaces) > 1 and kind.namespaced
        columns = printed(kind).columns
        shown = [
            index for index, column in enumerate(columns) if not column.priority or column.name in _WIDE.get(plural, ())
        ]
        head = tuple(columns[index].name.upper() for index in shown)
        rows = [_row(kind, obj, now_ns, shown, with_namespace) for obj in found[:_ROWS_MAX]]
        yield from _aligned([("NAMESPACE", *head) if with_namespace else head, *rows])
        if len(found) > _ROWS_MAX:
            yield f"… and {len(found) - _ROWS_MAX} more"


def _row(kind: Kind, obj: Object, now_ns: int, shown: Sequence[int], with_namespace: bool) -> Row:
    cells = printed(kind).row(obj, now_ns)
    name, *rest = (str(cells[index]) for index in shown)
    prefix = f"{kind.singular}.{kind.group}" if kind.group else kind.singular
    named = f"{prefix}/{name}"
    return (obj["metadata"].get("namespace", ""), named, *rest) if with_namespace else (named, *rest)


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Three spaces between columns, as kubectl's tab writer leaves."""
    widths = [max(len(row[i]) for row in rows) + 3 for i in range(len(rows[0]))]
    for row in rows:
        yield "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
