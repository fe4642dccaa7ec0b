"""What an invariant is: a name, a promise in one sentence, and handlers of the events at which it could break.

An invariant keeps what it needs to know in a few dictionaries of its own and never walks over all objects. It judges
components by what they could know: a controller that acts on a view which the last moments have made wrong has broken
nothing, so judgements allow for `GRACE_NS` unless the promise is kept by optimistic locking or by the node itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, final

from kubesim.api.kinds import POD
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.apiserver.server import Write
from kubesim.checks.disturbances import Disturbances
from kubesim.checks.pod_book import PodBook
from kubesim.cluster import Cluster
from kubesim.network.endpoints import Backend
from kubesim.node.runtime import PodSandbox
from kubesim.node.simulated import SimRuntime
from kubesim.sim.loop import SECOND

# For how long a component may act on what was true before: watches lag by a millisecond, a client's own limit holds a
# decision back for up to some seconds when a controller has much to do.
GRACE_NS = 5 * SECOND

OnWrite = Callable[[Write], None]
OnProcess = Callable[[str, PodSandbox, str, bool], None]
OnRoute = Callable[[str, Backend], None]


class Violation(NamedTuple):
    """A broken promise: which, when, by what, and one sentence with what was found."""

    invariant: str
    at_ns: int
    subject: str
    text: str


@final
class Scene:
    """One cluster as invariants see it: its events by what they are about, and where violations go."""

    def __init__(self, cluster: Cluster, report: Callable[[Violation], None]) -> None:
        self.cluster = cluster
        self._report = report
        self._by_kind: dict[Kind, list[OnWrite]] = {}
        self._on_any: list[OnWrite] = []
        self._on_process: list[OnProcess] = []
        self._on_route: list[OnRoute] = []
        self._on_rest: list[Callable[[], None]] = []
        self._pods: PodBook | None = None
        self._disturbances = Disturbances(cluster)
        cluster.listen(self._handle_write)

    @property
    def now_ns(self) -> int:
        """The present instant."""
        return self.cluster.loop.now_ns

    @property
    def pods(self) -> PodBook:
        """All Pods, kept up to date before any handler of theirs is called."""
        if self._pods is None:
            cluster = self.cluster
            self._pods = PodBook(cluster.loop, iter(cluster.store.table(POD.resource).objects.values()))
            self._by_kind.setdefault(POD, []).insert(0, self._pods.handle)
        return self._pods

    def is_disturbed(self) -> bool:
        """Whether components see the API late or not at all, or did until a moment ago."""
        return self._disturbances.is_any()

    def has_lost_replies(self) -> bool:
        """Whether components may not know what they have done."""
        return self._disturbances.has_lost_replies()

    def on_write(self, kind: Kind, handler: OnWrite) -> None:
        """Have the handler called with every write of this kind, after the store has it."""
        self._by_kind.setdefault(kind, []).append(handler)

    def on_any_write(self, handler: OnWrite) -> None:
        """Have the handler called with every write."""
        self._on_any.append(handler)

    def on_process(self, handler: OnProcess) -> None:
        """Have `handler(node, sandbox, container, is_there)` called when a container's process begins or is gone."""
        if not self._on_process:
            for name, node in self.cluster.data_plane.nodes.items():
                if isinstance(node.runtime, SimRuntime):
                    node.runtime.on_process = self._teller_of_processes(name)
        self._on_process.append(handler)

    def on_route(self, handler: OnRoute) -> None:
        """Have `handler(node, backend)` called when a node's proxy sends a new connection to an endpoint."""
        self._on_route.append(handler)
        self.cluster.data_plane.fabric.on_route = self._handle_route

    def on_rest(self, handler: Callable[[], None]) -> None:
        """Have the handler called when all is healed and the cluster has come to rest."""
        self._on_rest.append(handler)

    def tell_rest(self) -> None:
        """For `Checks`: the cluster is at rest now."""
        for handler in self._on_rest:
            handler()

    def report(self, invariant: str, subject: str, text: str) -> None:
        """Say that a promise is broken now."""
        self._report(Violation(invariant, self.cluster.loop.now_ns, subject, text))

    def _handle_write(self, write: Write) -> None:
        for handler in self._by_kind.get(write.kind, ()):
            handler(write)
        for handler in self._on_any:
            handler(write)

    def _teller_of_processes(self, node_name: str) -> Callable[[PodSandbox, str, bool], None]:
        def tell(sandbox: PodSandbox, container: str, is_there: bool) -> None:
            for handler in self._on_process:
                handler(node_name, sandbox, container, is_there)

        return tell

    def _handle_route(self, node_name: str, backend: Backend) -> None:
        for handler in self._on_route:
            handler(node_name, backend)


class Invariant(Protocol):
    """A promise that is watched. Made anew for every run, for it remembers."""

    @property
    def name(self) -> str:
        """As in files: `oneIdentity`."""
        ...

    @property
    def promise(self) -> str:
        """One sentence: what must hold."""
        ...

    def attach(self, scene: Scene) -> None:
        """Begin to watch: ask the scene for events. What exists already is to be looked at here."""
        ...


@final
class _Asked:
    """An invariant made from a function that looks at the cluster after each write."""

    def __init__(self, name: str, promise: str, find: Callable[[Cluster], str | None]) -> None:
        self.name = name
        self.promise = promise
        self._find = find

    def attach(self, scene: Scene) -> None:
        """Ask after every write."""

        def look(write: Write) -> None:
            text = self._find(scene.cluster)
            if text is not None:
                scene.report(self.name, subject_of(write.obj), text)

        scene.on_any_write(look)


def invariant(name: str, promise: str) -> Callable[[Callable[[Cluster], str | None]], Invariant]:
    """Make an invariant of a function that says what is wrong with a cluster, or None; it is asked after each write.

    @invariant("twoReady", "two Pods of web are always ready")
    def two_ready(cluster):
        ready = cluster.get("deployment/web")["status"].get("readyReplicas", 0)
        return f"only {ready} are" if ready < 2 else None
    """

    def wrap(find: Callable[[Cluster], str | None]) -> Invariant:
        return _Asked(name, promise, find)

    return wrap


def is_removal(write: Write) -> bool:
    """Whether the object is gone with this write; a deletion that is only asked for leaves it there, marked."""
    return write.verb == "deleted" and write.previous is write.obj


def subject_of(obj: Object) -> str:
    """The object as sentences and traces name it: `pod/vehicles/postgres-0`."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    return (
        f"{obj['kind'].lower()}/{namespace}/{metadata['name']}"
        if namespace
        else f"{obj['kind'].lower()}/{metadata['name']}"
    )
