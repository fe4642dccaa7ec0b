"""The API server with its store, and the connections of everything else to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, final

from kubesim.api.objects import Object
from kubesim.api.requests import Request
from kubesim.apiserver.selection import list_objects
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.inprocess import InProcessClient
from kubesim.client.ratelimit import TokenBucket
from kubesim.client.trouble import END_OF_STREAM, REFUSED, Down, Trouble
from kubesim.cluster.options import ClusterOptions
from kubesim.cluster.recording import actor_of
from kubesim.errors import ApiError
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MINUTE, Loop
from kubesim.store.log import Store

# Upstream: kube-apiserver --etcd-compaction-interval=5m
_COMPACTION_NS = 5 * MINUTE
_DOWN = Down()
# The process that all count as who come to the API server over HTTP.
HTTP: Final = "http"


class Connection(Protocol):
    """What a process reaches the API server by, and what is wrong with it at this moment: see `InProcessClient`."""

    troubles: tuple[Trouble, ...]

    def add_trouble(self, trouble: Trouble) -> None:
        """Something is wrong from now on."""
        ...

    def end_trouble(self, trouble: Trouble) -> None:
        """It is well again: what was held back of watches comes now."""
        ...

    def break_watches(self, error: ApiError, kinds: Sequence[str] = ()) -> None:
        """End the open watches (of these kinds, by their singulars) with an error for their readers."""
        ...

    def close(self) -> None:
        """The process that holds this connection is gone."""
        ...


class Member(NamedTuple):
    """A connection: the process that holds it (`kube-controller-manager`, `kubelet/node-1`), and as whom it acts."""

    process: str
    actor: str
    client: Connection

    def is_meant(self, by: str) -> bool:
        """Whether `by` names its process, its actor or all processes of its kind; an empty text names everybody."""
        return by in ("", self.process, self.actor, self.process.partition("/")[0])


@final
class ControlPlane:
    """API server and store. Clients for everything else are made here, each with its identity and limit."""

    def __init__(self, loop: Loop, chooser: Chooser, options: ClusterOptions) -> None:
        self.loop = loop
        self.store = Store()
        self.server = ApiServer(loop, self.store, chooser.stream("api-server"))
        # Called when a trouble begins or ends.
        self.on_trouble: list[Callable[[], None]] = []
        self._options = options
        self._members: dict[Connection, Member] = {}
        self._troubles: list[tuple[str, Trouble]] = []
        # The last instant at which a trouble began or ended, or a watch was broken.
        self.disturbed_ns = loop.now_ns
        if options.compacts:
            loop.post(_COMPACTION_NS, self._compact, None)

    def client(self, user: str, qps: int = 0, burst: int = 0, process: str = "") -> InProcessClient:
        """A component's connection; a `qps` of 0 means that it limits itself by nothing."""
        limit = TokenBucket(qps, burst) if qps else None
        identity = Identity(user, is_trusted=True, manager=_program(user))
        client = InProcessClient(self.loop, self.server, identity, self._options.latency, limit)
        actor = actor_of(user)
        self.join(client, process or actor, actor)
        return client

    def join(self, client: Connection, process: str, actor: str) -> None:
        """Have a connection meet what is wrong between its process and the API server, now and later."""
        member = self._members[client] = Member(process, actor, client)
        for by, trouble in self._troubles:
            if member.is_meant(by):
                client.add_trouble(trouble)

    def close(self, client: Connection) -> None:
        """The process that holds a connection is gone."""
        client.close()
        self._members.pop(client, None)

    # --- what can be wrong ---

    def members(self, by: str) -> list[Member]:
        """The connections that `by` names, see `Member.is_meant`."""
        return [member for member in self._members.values() if member.is_meant(by)]

    def begin_trouble(self, by: str, trouble: Trouble) -> None:
        """Something is wrong between those that `by` names and the API server, also for those that come later."""
        self._troubles.append((by, trouble))
        for member in self.members(by):
            member.client.add_trouble(trouble)
        self._tell()

    def end_trouble(self, trouble: Trouble) -> None:
        """It is well again."""
        self._troubles = [each for each in self._troubles if each[1] is not trouble]
        for member in list(self._members.values()):
            if trouble in member.client.troubles:
                member.client.end_trouble(trouble)
        self._tell()

    def troubles_of(self, process: str) -> list[Trouble]:
        """What is wrong between a whole process, whoever acts in it, and the API server."""
        return [trouble for by, trouble in self._troubles if by in ("", process)]

    @property
    def is_down(self) -> bool:
        """Whether the API server's process is gone."""
        return any(trouble is _DOWN for _, trouble in self._troubles)

    def refuse_if_down(self) -> None:
        """For those who ask without a client.

        Raises:
            ApiError: nobody listens at the API server's port.
        """
        if self.is_down:
            raise REFUSED

    def stop_server(self) -> None:
        """The API server's process is gone: connections break, and new ones are refused."""
        if self.is_down:
            return
        self.begin_trouble("", _DOWN)
        self.break_watches("", END_OF_STREAM)

    def start_server(self) -> None:
        """It is there again. Its watch cache knows nothing of changes from before: who watches on must list anew.

        Upstream: apiserver/pkg/storage/cacher/watch_cache.go:getAllEventsSinceLocked @v1.36
        """
        if self.is_down:
            self.store.compact(self.store.revision)
            self.end_trouble(_DOWN)

    def freeze(self) -> Callable[[Request], Object]:
        """A server whose cache stands still at this moment, for lists."""
        past = self.store.copy()
        return lambda request: list_objects(past, request.kind, request.namespace, request.options)

    def break_watches(self, by: str, error: ApiError, kinds: Sequence[str] = ()) -> None:
        """End the watches of those that `by` names (on these kinds) with an error for their readers."""
        self.disturbed_ns = self.loop.now_ns
        for member in self.members(by):
            member.client.break_watches(error, kinds)

    @property
    def is_calm(self) -> bool:
        """Whether nothing is wrong between anybody and the API server."""
        return not self._troubles

    def _tell(self) -> None:
        self.disturbed_ns = self.loop.now_ns
        for listener in list(self.on_trouble):
            listener()

    def _compact(self, _: None) -> None:
        self.server.compact()
        self.loop.post(_COMPACTION_NS, self._compact, None)


def _program(user: str) -> str:
    """The program behind a user, whose name its fields are managed by."""
    if user.startswith("system:node:"):
        return "kubelet"
    return "kube-controller-manager" if ":serviceaccount:" in user else user.removeprefix("system:")
