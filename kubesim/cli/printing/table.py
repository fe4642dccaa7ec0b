"""The tables of a run's end: one per kind, in the columns of `kubectl get` (Pods as `-o wide`).

Upstream: pkg/printers/internalversion/printers.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from kubesim.api.conditions import find_condition
from kubesim.api.objects import Object
from kubesim.cli.printing.ages import age
from kubesim.cli.printing.pod import pod_row

Row = tuple[str, ...]
_ROLE: Final = "node-role.kubernetes.io/"
_MODES: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


class _Table(NamedTuple):
    prefix: str
    columns: Row
    row: Callable[[Object, int], Row]


def _deployment(obj: Object, now_ns: int) -> Row:
    status = obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"
    return (
        _name(obj),
        ready,
        str(status.get("updatedReplicas", 0)),
        str(status.get("availableReplicas", 0)),
        _age(obj, now_ns),
    )


def _stateful_set(obj: Object, now_ns: int) -> Row:
    ready = (obj.get("status") or {}).get("readyReplicas", 0)
    return _name(obj), f"{ready}/{obj['spec'].get('replicas', 1)}", _age(obj, now_ns)


def _service(obj: Object, now_ns: int) -> Row:
    spec = obj["spec"]
    external = ",".join(spec.get("externalIPs") or ()) or "<none>"
    if spec.get("type") == "LoadBalancer":
        ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        external = ",".join(each.get("ip") or each.get("hostname", "") for each in ingress) or "<pending>"
    ports = ",".join(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or ()
    )
    cluster_ip = spec.get("clusterIP") or "<none>"
    return _name(obj), spec.get("type", "ClusterIP"), cluster_ip, external, ports or "<none>", _age(obj, now_ns)


def _claim(obj: Object, now_ns: int) -> Row:
    spec, status = obj["spec"], obj.get("status") or {}
    phase = "Terminating" if "deletionTimestamp" in obj["metadata"] else status.get("phase", "Pending")
    is_bound = bool(spec.get("volumeName"))
    modes = ",".join(_MODES.get(mode, mode) for mode in status.get("accessModes") or ()) if is_bound else ""
    capacity = (status.get("capacity") or {}).get("storage", "") if is_bound else ""
    return (
        _name(obj),
        phase,
        spec.get("volumeName", ""),
        capacity,
        modes,
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        _age(obj, now_ns),
    )


def _node(obj: Object, now_ns: int) -> Row:
    ready = find_condition((obj.get("status") or {}).get("conditions"), "Ready") or {}
    status = {"True": "Ready"}.get(ready.get("status", ""), "NotReady")
    if obj["spec"].get("unschedulable"):
        status += ",SchedulingDisabled"
    labels = obj["metadata"].get("labels") or {}
    roles = ",".join(sorted(label.removeprefix(_ROLE) for label in labels if label.startswith(_ROLE)))
    version = ((obj.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", "")
    return _name(obj), status, roles or "<none>", _age(obj, now_ns), version


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now_ns: int) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now_ns)


_TABLES: Final[Mapping[str, _Table]] = {
    "nodes": _Table("node", ("NAME", "STATUS", "ROLES", "AGE", "VERSION"), _node),
    "deployments": _Table("deployment.apps", ("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"), _deployment),
    "statefulsets": _Table("statefulset.apps", ("NAME", "READY", "AGE"), _stateful_set),
    "pods": _Table("pod", ("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"), pod_row),
    "services": _Table("service", ("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"), _service),
    "persistentvolumeclaims": _Table(
        "persistentvolumeclaim",
        ("NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS", "VOLUMEATTRIBUTESCLASS", "AGE"),
        _claim,
    ),
}
KINDS: Final = tuple(_TABLES)
_ROWS_MAX: Final = 40


def print_tables(objects: Mapping[str, Sequence[Object]], now_ns: int) -> Iterator[str]:
    """The tables of all kinds that have objects, a blank line between two; `objects` by plural."""
    namespaces = {obj["metadata"].get("namespace", "") for each in objects.values() for obj in each} - {""}
    is_first = True
    for plural, table in _TABLES.items():
        found = objects.get(plural) or ()
        if not found:
            continue
        if not is_first:
            yield ""
        is_first = False
        with_namespace = len(namespaces) > 1 and plural != "nodes"
        rows = [_row(table, obj, now_ns, with_namespace) for obj in found[:_ROWS_MAX]]
        columns = ("NAMESPACE", *table.columns) if with_namespace else table.columns
        yield from _aligned([columns, *rows])
        if len(found) > _ROWS_MAX:
            yield f"… and {len(found) - _ROWS_MAX} more"


def _row(table: _Table, obj: Object, now_ns: int, with_namespace: bool) -> Row:
    name, *rest = table.row(obj, now_ns)
    named = f"{table.prefix}/{name}"
    return (obj["metadata"].get("namespace", ""), named, *rest) if with_namespace else (named, *rest)


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Three spaces between columns, as kubectl's tab writer leaves."""
    widths = [max(len(row[i]) for row in rows) + 3 for i in range(len(rows[0]))]
    for row in rows:
        yield "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
