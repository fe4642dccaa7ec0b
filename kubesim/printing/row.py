"""What rows are made of: a kind's columns, and the cells that many kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from kubesim.api.objects import Object
from kubesim.printing.ages import age

Cell = str | int | bool | None
Cells = tuple[Cell, ...]
NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"
_MODES: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_SHOWN: Final = 3


class Column(NamedTuple):
    """A column; those of priority 1 are for `-o wide`. `type` and `format` are OpenAPI's."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0


class Printed(NamedTuple):
    """How a kind is printed. `row` gives a cell for each column at a virtual instant."""

    columns: tuple[Column, ...]
    row: Callable[[Object, int], Cells]


def columns(text: str, wide: str = "") -> tuple[Column, ...]:
    """Columns from their names, with the type after a colon where it is no string; Name is always first."""
    found = [Column("Name", "string", "name")]
    for priority, names in enumerate((text, wide)):
        for each in names.split(", ") if names else ():
            name, _, kind = each.partition(":")
            found.append(Column(name, kind or "string", "", priority))
    return tuple(found)


def name_of(obj: Object) -> str:
    """The object's name."""
    return str(obj["metadata"].get("name", ""))


def age_of(obj: Object, now_ns: int) -> str:
    """How long ago it was made."""
    return age(obj["metadata"].get("creationTimestamp"), now_ns)


def spec_of(obj: Object) -> Any:
    """The spec, empty where there is none."""
    return obj.get("spec") or {}


def status_of(obj: Object) -> Any:
    """The status, empty where there is none."""
    return obj.get("status") or {}


def container_cells(template_spec: Any) -> tuple[str, str]:
    """Names and images of containers."""
    containers = template_spec.get("containers") or ()
    return ",".join(each["name"] for each in containers), ",".join(each.get("image", "") for each in containers)


def template_cells(obj: Object) -> tuple[str, str]:
    """Names and images of a workload's containers."""
    return container_cells((spec_of(obj).get("template") or {}).get("spec") or {})


def labels_text(labels: Any) -> str:
    """Labels as a selector, by name. Upstream: labels.FormatLabels @v1.36"""
    return ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items())) or NONE


def access_modes(modes: Iterable[str]) -> str:
    """Access modes in short."""
    return ",".join(_MODES.get(mode, mode) for mode in dict.fromkeys(modes))


def first_few(texts: Sequence[str], shown: int = _SHOWN, separator: str = ",") -> str:
    """The first ones, and how many there are more."""
    listed = separator.join(texts[:shown])
    return f"{listed} + {len(texts) - shown} more..." if len(texts) > shown else listed
