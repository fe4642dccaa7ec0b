"""What faults are done to, as values: frozen structs whose fields are written in files as Kubernetes writes its own."""

from __future__ import annotations

import msgspec


class Duration(int):
    """A span of time in ns; in a file a text such as 90s, 5m, 1h30m or 250ms."""

    __slots__ = ()


class Reference(str):
    """An object as KIND/NAME, such as deployment/vehicle-api, or as NAMESPACE/KIND/NAME."""

    __slots__ = ()


class NodeName(str):
    """A node by its name; in a file also as node/NAME."""

    __slots__ = ()


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of everything in a file: keys are written as Kubernetes writes them."""


class Argument(Part, frozen=True, kw_only=True):
    """Base of what a fault is given."""


class PodTarget(Argument, frozen=True, kw_only=True):
    """A Pod, or one of a workload's: the first Ready one by name, or with `index` that one by name, counted from 0.

    An index beyond the last Pod counts on from the first. In a file also the bare reference.
    """

    of: Reference
    index: int | None = None
    container: str = ""


class Crash(Argument, frozen=True, kw_only=True):
    """A container's process ends with a code; 137 is what a SIGKILL leaves."""

    of: Reference
    index: int | None = None
    container: str = ""
    exit_code: int = 1


class Delete(Argument, frozen=True, kw_only=True):
    """A deletion by a user; of a workload with `pod: true` or an `index`, of one of its Pods."""

    of: Reference
    pod: bool = False
    index: int | None = None
    grace_seconds: int | None = None


class NodeTarget(Argument, frozen=True, kw_only=True):
    """A node by name, or the first by name that runs a Pod of one workload and none of another.

    What ends a disturbance may leave everything out: then it means the node that was disturbed last.
    """

    node: NodeName = NodeName("")
    runs: Reference | None = None
    runs_not: Reference | None = None


class Drain(Argument, frozen=True, kw_only=True):
    """`kubectl drain`: cordon, then evict every Pod, trying again every 5 s where a budget refuses."""

    node: NodeName = NodeName("")
    runs: Reference | None = None
    runs_not: Reference | None = None
    timeout: Duration = Duration(300_000_000_000)


class Workload(Argument, frozen=True, kw_only=True):
    """A workload; in a file also the bare reference."""

    of: Reference


class Scale(Argument, frozen=True, kw_only=True):
    """A workload's size."""

    of: Reference
    replicas: int


class SetImage(Argument, frozen=True, kw_only=True):
    """Another image for a workload's container, the first one without a name."""

    of: Reference
    image: str
    container: str = ""


class Undo(Argument, frozen=True, kw_only=True):
    """Back to an earlier revision; 0 is the one before."""

    of: Reference
    revision: int = 0
