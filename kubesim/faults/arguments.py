"""What faults are done to, as values: frozen structs whose fields are written in files as Kubernetes writes its own."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from kubesim.api.kinds import ALL_KINDS
from kubesim.api.requests import Propagation
from kubesim.cluster.components import CONTROLLER_MANAGER, SCHEDULER
from kubesim.cluster.control_plane import HTTP
from kubesim.controllers.registry import CONTROLLERS

_PROPAGATIONS: Final[dict[str, Propagation]] = {
    "background": "Background",
    "foreground": "Foreground",
    "orphan": "Orphan",
}
_PROCESSES: Final = (CONTROLLER_MANAGER, SCHEDULER, "kubelet", "kube-proxy")


class Duration(int):
    """A span of time in ns; in a file a text such as 90s, 5m, 1h30m or 250ms."""

    __slots__ = ()


class Reference(str):
    """An object as KIND/NAME, such as deployment/vehicle-api, or as NAMESPACE/KIND/NAME."""

    __slots__ = ()


class ServiceReference(Reference):
    """A Service, as service/NAME or NAMESPACE/service/NAME."""

    __slots__ = ()


class NodeName(str):
    """A node by its name; in a file also as node/NAME."""

    __slots__ = ()


class Choice(str):
    """One of some names that are known; those that begin with one of `prefixes` are, too."""

    __slots__ = ()
    what: ClassVar[str]
    known: ClassVar[tuple[str, ...]]
    prefixes: ClassVar[tuple[str, ...]] = ()


class Breakage(Choice):
    """How a bad version shows."""

    __slots__ = ()
    what = "breakage"
    known = ("crashes", "neverReady")


class Component(Choice):
    """A client of the API server: a whole process, one of the controllers in kube-controller-manager, or `http`.

    That one is whoever comes over HTTP to a cluster that is served.
    """

    __slots__ = ()
    what = "component"
    prefixes = ("kubelet/",)
    known = (*_PROCESSES, HTTP, *CONTROLLERS)


class KindName(Choice):
    """A kind by its singular, such as pod."""

    __slots__ = ()
    what = "kind"
    known = tuple(kind.singular for kind in ALL_KINDS)


class PriorityLevel(Choice):
    """Whose requests share a queue of the API server; an empty text means all of them.

    Upstream: apiserver/pkg/apis/flowcontrol/bootstrap/default.go @v1.36
    """

    __slots__ = ()
    what = "priority level"
    known = ("", "workload-high", "system", "node-high")


class Cascade(Choice):
    """What becomes of a deleted object's dependents: deleted after it, before it, or left without an owner.

    Upstream: kubectl/pkg/cmd/delete/delete_flags.go, --cascade @v1.36
    """

    __slots__ = ()
    what = "cascade"
    known = tuple(_PROPAGATIONS)


class Leader(Choice):
    """A component of which one replica works and the others wait."""

    __slots__ = ()
    what = "leader"
    known = (CONTROLLER_MANAGER, SCHEDULER)


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
    """A deletion by a user; of a workload with `pod: true`, `oldest: true` or an `index`, of one of its Pods.

    The oldest one each time is each of them in turn, whatever their names.
    """

    of: Reference
    pod: bool = False
    oldest: bool = False
    index: int | None = None
    grace_seconds: int | None = None
    cascade: Cascade = Cascade("background")

    @property
    def options(self) -> dict[str, Any]:
        """How it is done, as fields of `kubesim.api.requests.Options`."""
        return {"grace_period_s": self.grace_seconds, "propagation": _PROPAGATIONS[self.cascade]}


class NodeTarget(Argument, frozen=True, kw_only=True):
    """A node by name, or the first by name that runs a Pod of one workload and none of another.

    What ends a disturbance may leave everything out: then it means the node that was disturbed last.
    """

    node: NodeName = NodeName("")
    runs: Reference | None = None
    runs_not: Reference | None = None


class Amount(str):
    """A quantity as Kubernetes writes it, such as 64Mi."""

    __slots__ = ()


class Shortage(Argument, frozen=True, kw_only=True):
    """A node, and how much of what its kubelet wants to be available is `missing` at first."""

    node: NodeName = NodeName("")
    runs: Reference | None = None
    runs_not: Reference | None = None
    missing: Amount = Amount("64Mi")


class Skew(Argument, frozen=True, kw_only=True):
    """A node, and `by` how much its clock is ahead, or `behind`."""

    node: NodeName = NodeName("")
    runs: Reference | None = None
    runs_not: Reference | None = None
    by: Duration = Duration(300_000_000_000)
    behind: bool = False


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


class SlowStart(Argument, frozen=True, kw_only=True):
    """By how much later the containers of a workload's images begin their work."""

    of: Reference
    added: Duration = Duration(30_000_000_000)


class BadVersion(Argument, frozen=True, kw_only=True):
    """A rollout of a version that crashes at its start, or that never becomes ready."""

    of: Reference
    how: Breakage = Breakage("crashes")


class SlowRegistry(Argument, frozen=True, kw_only=True):
    """By how much longer a pull takes."""

    added: Duration = Duration(60_000_000_000)


class End(str):
    """An end of a path: a node by its name, `users`, or the Pods of a Pod, workload or Service by its reference."""

    __slots__ = ()


class Link(Argument, frozen=True, kw_only=True):
    """Two ends; by how much later a packet arrives, or which share of them is lost, 0 to 1.

    `one_way` means only the direction from `end` to `peer`.
    """

    end: End
    peer: End
    added: Duration = Duration(200_000_000)
    loss: float = 0.0
    one_way: bool = False


class Pair(Argument, frozen=True, kw_only=True):
    """Two ends; `one_way` means only the direction from `end` to `peer`."""

    end: End
    peer: End
    one_way: bool = False


class SlowVolume(Argument, frozen=True, kw_only=True):
    """A Pod, or one of a workload's, and by how much longer each fsync on its volumes takes."""

    of: Reference
    index: int | None = None
    added: Duration = Duration(200_000_000)


class Crowd(Argument, frozen=True, kw_only=True):
    """A database's Pod, and how many of its connections somebody else takes."""

    of: Reference
    index: int | None = None
    number: int = 100


class Spike(Argument, frozen=True, kw_only=True):
    """A Service, and how many more requests a second it gets."""

    of: ServiceReference
    rate_per_second: float = 200
    write_percent: int = 0


class Impatience(Argument, frozen=True, kw_only=True):
    """A Service, and how many times its users repeat a request that is not served."""

    of: ServiceReference
    retries: int = 3


class SlowAttach(Argument, frozen=True, kw_only=True):
    """By how much longer a disk of the network takes to be attached or detached."""

    added: Duration = Duration(60_000_000_000)


class Nothing(Argument, frozen=True, kw_only=True):
    """There is only one thing that can be meant."""


class Slowness(Argument, frozen=True, kw_only=True):
    """By how much longer requests take, and how much later events of watches come; `by` narrows it to one client."""

    by: Component = Component("")
    added: Duration = Duration(2_000_000_000)


class Overload(Argument, frozen=True, kw_only=True):
    """The share of requests of a priority level, or of one client, that are turned away with 429 and Retry-After: 1."""

    by: Component = Component("")
    level: PriorityLevel = PriorityLevel("")
    share: float = 0.5


class Conflicts(Argument, frozen=True, kw_only=True):
    """The share of updates (of one kind) that find that somebody was quicker."""

    by: Component = Component("")
    of: KindName = KindName("")
    share: float = 0.5


class LostReplies(Argument, frozen=True, kw_only=True):
    """How many of the next writes (of one kind) are done without their sender hearing of it; 0 means all."""

    by: Component = Component("")
    of: KindName = KindName("")
    number: int = 1


class Watches(Argument, frozen=True, kw_only=True):
    """The watches of one client or all, on one kind or all."""

    by: Component = Component("")
    of: KindName = KindName("")


class LateWatches(Argument, frozen=True, kw_only=True):
    """By how much later the events of watches come."""

    by: Component = Component("")
    of: KindName = KindName("")
    delay: Duration = Duration(5_000_000_000)


class Lag(Argument, frozen=True, kw_only=True):
    """By how much a component sees later what has happened."""

    delay: Duration = Duration(2_000_000_000)


class CrashComponent(Argument, frozen=True, kw_only=True):
    """kube-controller-manager, kube-scheduler, or one controller by its name."""

    of: Component


class ChangeLeader(Argument, frozen=True, kw_only=True):
    """A component of which one replica works."""

    of: Leader = Leader(CONTROLLER_MANAGER)
