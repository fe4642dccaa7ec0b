"""The catalogue in words: the page docs/faults.md and the list that `kubesim faults` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from kubesim.faults.arguments import Argument, Duration
from kubesim.faults.catalogue import FAULTS
from kubesim.faults.kinds import FaultKind
from kubesim.faults.schedule import spell_duration

_AREAS: Final = {
    "workload": "Containers, Pods and workloads",
    "node": "Nodes",
    "network": "Network",
    "storage": "Volumes",
    "database": "Databases",
    "controlPlane": "Control plane",
    "users": "Users",
}
_HEAD: Final = """\
# Faults

What can be done to a cluster, as it is named in the `faults` and the steps of [scenario files](scenarios.md). This page
is made from `kubesim.faults.catalogue`; `kubesim faults` prints it as a list. A fault that lasts is ended by its twin,
by `heal: NAME`, or by the `for` or `healedAfterWrite` of its line in `faults`; at the end everything is healed.

`of` names a Pod or a workload: then its first Ready Pod by name is meant, or with `index` the Pod with that number by
name, counted from 0 and on from the first after the last. A node is `node: NAME`, or the first by name that `runs` a
Pod of one workload and, with `runsNot`, none of another. A deletion with `oldest: true` means the oldest Pod of a
workload: done again and again, it meets each of them in turn.

`by` is a client of the API server: a process (`kube-controller-manager`, `kube-scheduler`, `kube-proxy`, `kubelet/NODE`
or `kubelet` for all of them), a controller such as `replicaset-controller`, or `http`, whoever comes to a cluster that
is [served](serve.md). Without it everybody is meant.
"""


def page() -> str:
    """docs/faults.md as it must be."""
    parts = [_HEAD]
    for area, title in _AREAS.items():
        rows = [_row(kind) for kind in FAULTS.values() if kind.area == area]
        if rows:
            table = ["| fault | argument | what happens | ends by |", "|---|---|---|---|", *rows]
            parts.append(f"## {title}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def list_lines() -> Iterator[str]:
    """The catalogue for a terminal: a heading for each area, a line for each fault."""
    width = max(len(name) for name in FAULTS)
    for area, title in _AREAS.items():
        kinds = [kind for kind in FAULTS.values() if kind.area == area]
        if kinds:
            yield f"{title}:"
            for kind in kinds:
                yield f"  {kind.name:<{width}}  {kind.summary}".replace("`", "")
            yield ""


def _row(kind: FaultKind) -> str:
    ends = {"": "", "heal": "`heal`"}.get(kind.healed_by, f"`{kind.healed_by}`")
    if kind.heals:
        ends = f"(ends `{kind.heals}`)"
    return f"| `{kind.name}` | {_fields_of(kind.argument)} | {kind.summary} | {ends} |"


def _fields_of(argument: type[Argument]) -> str:
    shown = []
    for field in msgspec.structs.fields(argument):
        default = _default(field)
        shown.append(f"`{field.encode_name}`{f' ({default})' if default else ''}")
    return ", ".join(shown)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required or field.default in (None, "", False, msgspec.NODEFAULT):
        return ""
    value: Any = field.default
    if isinstance(value, Duration):
        return spell_duration(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
