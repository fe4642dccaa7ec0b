"""The scenario port's body for a real cluster: what a scenario asks is read from a mirror, what it does is a request.

The port is called from outside the event loop and runs it while it waits; watches and users go on only then, and a
scenario waits nearly always.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar, final

from adapters.applying import apply_all
from adapters.connection import Connection, is_refused_by_budget
from adapters.contexts import Target
from adapters.mirror import Change, Mirror
from adapters.nodes import NodeAccess
from adapters.order import in_dependency_order
from adapters.schedules import RealFaults
from adapters.service import find_way, rows_by_api
from kubesim.api import kinds
from kubesim.api.objects import Object, key_of
from kubesim.api.requests import Options, Request, create_subresource, delete, patch
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import to_time
from kubesim.cluster.belonging import events_about, pods_of
from kubesim.cluster.references import find_among, parse_kind, parse_reference
from kubesim.cluster.rolling_out import check_restart
from kubesim.cluster.undoing import plan_undo
from kubesim.errors import ApiError, UserError
from kubesim.faults import Schedule
from kubesim.faults.arguments import Argument
from kubesim.faults.targets import split_reference
from kubesim.manifests import load
from kubesim.network.messages import Answer, HttpRequest
from kubesim.processes.users import RealUsers, path_for
from kubesim.scenario.requests import creation_of, patch_of
from kubesim.sim.loop import SECOND, Loop

T = TypeVar("T")
# What scenarios ask about again and again; other kinds are followed once something asks for them.
FOLLOWED: Final = (
    kinds.NODE,
    kinds.POD,
    kinds.EVENT,
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.STATEFUL_SET,
    kinds.SERVICE,
    kinds.ENDPOINT_SLICE,
    kinds.PERSISTENT_VOLUME_CLAIM,
    kinds.PERSISTENT_VOLUME,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.NAMESPACE,
    kinds.CONTROLLER_REVISION,
    kinds.ENDPOINTS,
    kinds.SERVICE_ACCOUNT,
)
_SETTLE_S: Final = 5.0
_GONE_NS: Final = 120 * SECOND
_SEEN_NS: Final = 5 * SECOND
_OF_NODES: Final = ("stopKubelet", "startKubelet")
_OF_PROCESSES: Final = ("crash", "hang", "wake")
_SIGNALS: Final = {"crash": "KILL", "hang": "STOP", "wake": "CONT"}


@final
class RealPort:
    """A real cluster, for a scenario. A context manager; `on_change` hears of each change of a followed object."""

    def __init__(self, target: Target, on_change: Callable[[Change], None] = lambda _: None) -> None:
        self.notes: list[str] = []
        self._target = target
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._connection = Connection(target)
        self.on_change = on_change
        self._mirror = Mirror(self._connection, self._tell)
        self._nodes = NodeAccess(())
        self._users: list[RealUsers] = []
        self._faults: list[RealFaults] = []
        self._watchers: list[Callable[[Change], None]] = []
        # What is to happen at instants of the wall's clock, between two looks at the cluster.
        self.agenda = Loop()
        self._created: list[tuple[Kind, Object]] = []
        self._begin_ns = time.monotonic_ns()
        self.aio = self._runner.get_loop()

    def __enter__(self) -> RealPort:
        """Connect, and see what is there.

        Raises:
            UserError: the cluster cannot be reached.
            ApiError: it does not let us look.
        """
        try:
            self._run(self._begin())
        except BaseException:
            self.close()
            raise
        names = [node["metadata"]["name"] for node in self.list("nodes")]
        self._nodes = NodeAccess(names)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the users, faults and watches; disconnect. Idempotent."""
        self._end_faults()
        for users in self._users:
            users.stop()
        self._run(self._open.aclose())
        self._runner.close()

    def _tell(self, change: Change) -> None:
        self.on_change(change)
        for watcher in (*self._watchers, *(faults.look for faults in self._faults)):
            watcher(change)

    def _end_faults(self) -> None:
        for faults in self._faults:
            faults.heal_all()
        self._faults.clear()

    async def _begin(self) -> None:
        await self._open.enter_async_context(self._connection)
        self._open.push_async_callback(self._mirror.close)
        await self._mirror.follow(FOLLOWED)

    # --- time ---

    @property
    def now_ns(self) -> int:
        return self.wall_ns()

    def wall_ns(self) -> int:
        """The present instant, for users: ns since the port was made."""
        return time.monotonic_ns() - self._begin_ns

    def wait_until(self, holds: Callable[[], bool], within_ns: int) -> bool:
        end_ns = self.wall_ns() + within_ns
        while True:
            self.agenda.run_until(self.wall_ns())
            # Asked here, where a kind that is not followed yet can still be listed.
            if holds():
                return True
            if self.wall_ns() >= end_ns:
                return False
            self._run(self._wait(holds, end_ns))

    async def _wait(self, holds: Callable[[], bool], end_ns: int) -> None:
        """Until it holds, something of the agenda is due, or the end has come."""
        while not holds():
            due_ns = self.agenda.next_at_ns()
            left_ns = (end_ns if due_ns is None else min(due_ns, end_ns)) - self.wall_ns()
            if left_ns <= 0:
                return
            await self._mirror.wait_for_change(left_ns / SECOND)

    def pass_time(self, span_ns: int, on_change: Callable[[], None] | None = None) -> None:
        def look() -> bool:
            if on_change is not None:
                on_change()
            return False

        self.wait_until(look, span_ns)

    def settle(self) -> None:
        self._run(self._settle())

    async def _settle(self) -> None:
        await asyncio.gather(*(users.finish(_SETTLE_S) for users in self._users))

    # --- what is there ---

    def version(self) -> str:
        """The cluster's version, such as v1.36.3."""
        return str(self._run(self._connection.version())["gitVersion"])

    def find(self, reference: str, namespace: str = "") -> Object | None:
        own, namespace = split_reference(reference, namespace)
        kind, name = parse_reference(own)
        return find_among(self._objects(kind), kind, name, namespace)

    def list(self, kind: str, namespace: str = "") -> Sequence[Object]:
        objects = self._objects(parse_kind(kind))
        return [objects[key] for key in sorted(objects) if not namespace or key[0] == namespace]

    def pods_of(self, reference: str, namespace: str = "") -> Sequence[Object]:
        obj = self._get(reference, namespace)
        space = obj["metadata"].get("namespace", "")
        return pods_of(obj, self.list("replicasets", space), self.list("pods", space))

    def events_about(self, obj: Object) -> Sequence[Object]:
        space = obj["metadata"].get("namespace", "")
        return events_about(obj, self.list("replicasets", space), self.list("pods", space), self.list("events"))

    def watch(self, kind: str, on_change: Callable[[str, Object], None], namespace: str = "") -> Callable[[], None]:
        wanted = parse_kind(kind)
        self._objects(wanted)

        def take(change: Change) -> None:
            if change.kind is wanted and (not namespace or change.object["metadata"]["namespace"] == namespace):
                on_change(change.type, change.object)

        self._watchers.append(take)
        return lambda: self._watchers.remove(take)

    def logs(self, pod: Object, container: str = "", *, is_previous: bool = False) -> str:
        return self._run(self._connection.log(pod, container, is_previous=is_previous))

    def _get(self, reference: str, namespace: str) -> Object:
        obj = self.find(reference, namespace)
        if obj is None:
            raise UserError(f"there is no {reference} at this moment")
        return obj

    def _objects(self, kind: Kind) -> dict[Any, Object]:
        if not self._mirror.follows(kind):
            self._run(self._mirror.follow([kind]))
        return self._mirror.objects(kind)

    # --- what is done ---

    def apply(self, path: Path) -> Sequence[Object]:
        manifests = in_dependency_order(load(path, namespace=self._target.namespace))

        async def go() -> list[Object]:
            objects = []
            async for applied in apply_all(self._connection, manifests):
                objects.append(applied.object)
                if applied.verb == "created":
                    self._created.append((applied.manifest.kind, applied.object))
            return objects

        objects = self._run(go())
        for manifest, obj in zip(manifests, objects, strict=True):
            self._see(manifest.kind, obj)
        return objects

    def _see(self, kind: Kind, obj: Object) -> None:
        """Let the mirror catch up with an object that was just written, where it follows such objects."""
        key, uid = key_of(obj), obj["metadata"]["uid"]
        if self._mirror.follows(kind):
            self.wait_until(
                lambda: self._objects(kind).get(key, {"metadata": {}})["metadata"].get("uid") == uid, _SEEN_NS
            )

    def delete_created(self) -> None:
        """Delete what did not exist before this port applied it, last first, and wait until it is gone."""
        self._end_faults()
        self._run(self._mirror.follow(dict.fromkeys(kind for kind, _ in self._created)))
        for kind, obj in reversed(self._created):
            metadata = obj["metadata"]
            options = Options(propagation="Background", precondition_uid=metadata["uid"])
            with contextlib.suppress(ApiError):
                self.send(delete(kind, metadata.get("namespace", ""), metadata["name"], options))
        keys = [(kind, key_of(obj)) for kind, obj in self._created]
        self.wait_until(lambda: all(key not in self._objects(kind) for kind, key in keys), _GONE_NS)
        self._created.clear()

    def send(self, request: Request) -> Object:
        """Have any request carried out.

        Raises:
            ApiError: the server's answer, where it is not success.
        """
        return self._run(self._connection.send(request))

    def delete(self, reference: str, namespace: str = "", **options: Any) -> None:
        self.send(delete(*self._place(reference, namespace), Options(**options)))

    def evict(self, pod: Object) -> str:
        metadata = pod["metadata"]
        names = {"name": metadata["name"], "namespace": metadata["namespace"]}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": names}
        try:
            self.send(create_subresource(kinds.POD, metadata["namespace"], metadata["name"], "eviction", body))
        except ApiError as error:
            if not is_refused_by_budget(error):
                raise
            return error.causes[0].message
        return ""

    def cordon(self, node: str, *, is_cordoned: bool) -> None:
        self.patch(f"node/{node}", {"spec": {"unschedulable": is_cordoned or None}})

    def create(self, obj: Object, namespace: str = "") -> Object:
        request = creation_of(obj, namespace)
        created = {"apiVersion": request.kind.api_version, "kind": request.kind.kind, **self.send(request)}
        self._created.append((request.kind, created))
        self._see(request.kind, created)
        return created

    def patch(
        self, reference: str, change: Any, namespace: str = "", patch_type: str = "strategic", subresource: str = ""
    ) -> None:
        self.send(patch_of(self._place(reference, namespace), change, patch_type, subresource))

    def exec(self, pod: Object, container: str, command: Sequence[str]) -> tuple[int, str]:
        return self._run(self._connection.execute(pod, container, command))

    def scale(self, reference: str, replicas: int, namespace: str = "") -> None:
        self.send(patch(*self._place(reference, namespace), {"spec": {"replicas": replicas}}, "merge", "scale"))

    def set_image(self, reference: str, image: str, container: str = "", namespace: str = "") -> None:
        name = container or self._get(reference, namespace)["spec"]["template"]["spec"]["containers"][0]["name"]
        change = {"spec": {"containers": [{"name": name, "image": image}]}}
        self.patch(reference, {"spec": {"template": change}}, namespace)

    def restart_rollout(self, reference: str, namespace: str = "") -> None:
        check_restart(self._get(reference, namespace))
        stamp = {"kubectl.kubernetes.io/restartedAt": to_time(time.time_ns())}
        self.patch(reference, {"spec": {"template": {"metadata": {"annotations": stamp}}}}, namespace)

    def undo_rollout(self, reference: str, revision: int = 0, namespace: str = "") -> None:
        deployment = self._get(reference, namespace)
        space = deployment["metadata"]["namespace"]
        request = plan_undo(deployment, list(self.list("replicasets", space)), revision)
        if request is not None:
            self.send(request)

    def _place(self, reference: str, namespace: str) -> tuple[Kind, str, str]:
        own, namespace = split_reference(reference, namespace)
        kind, name = parse_reference(own)
        if kind.namespaced and not namespace:
            namespace = self._get(reference, "")["metadata"]["namespace"]
        return kind, namespace if kind.namespaced else "", name

    # --- disturbances ---

    @property
    def disturbances(self) -> Sequence[str]:
        found = [*(_OF_PROCESSES if self._nodes.can_signal else ())]
        return [*found, *(_OF_NODES if self._nodes.can_stop_kubelets else ())]

    def disturb_pod(self, name: str, pod: Object, container: str, exit_code: int) -> None:
        del exit_code  # nobody can make a real process exit with a code of our choice
        own = container or pod["spec"]["containers"][0]["name"]
        self._run(self._nodes.signal(pod, own, _SIGNALS[name]))

    def disturb_node(self, name: str, node: str) -> None:
        if name == "stopKubelet":
            self._run(self._nodes.stop_kubelet(node))
        else:
            self._run(self._nodes.start_kubelet(node))

    def disturb(self, fault: str, argument: Argument, namespace: str = "") -> str:
        del argument, namespace
        raise UserError(f"{fault} cannot be done to a real cluster from here")

    def heal(self, fault: str) -> str:
        raise UserError(f"{fault} cannot be done to a real cluster from here")

    def start_faults(self, schedule: Schedule, namespace: str = "") -> RealFaults:
        events = [event for each in schedule for event in (each.after_write, each.healed_after_write) if event]
        for event in events:
            if event.of:
                self._objects(parse_kind(event.of.partition("/")[0]))
        if any(event.by for event in events):
            self.notes.append("a watch does not show who writes: a fault strikes after the write of anybody")
        faults = RealFaults(self, schedule, namespace, self.notes.append)
        self._faults.append(faults)
        return faults

    # --- users ---

    def call(self, service: str, request: HttpRequest, namespace: str = "") -> Answer:
        async def go() -> Answer:
            way = await find_way(self._connection, self._get(f"service/{service}", namespace))
            return await way.ask(request)

        return self._run(go())

    def start_users(self, service: str, namespace: str, rate_per_second: float, write_percent: int) -> RealUsers:
        obj = self._get(f"service/{service}", namespace)
        way = self._run(find_way(self._connection, obj))
        self.notes.append(f"users reach service/{service} {way.text}")
        users = RealUsers(
            self,
            way.ask,
            lambda _table, _column: self._run(rows_by_api(way.ask)) if write_percent else {},
            rate_per_second,
            write_percent,
            path_for(write_percent),
        )
        self._users.append(users)
        users.start()
        return users

    def _run(self, work: Awaitable[T]) -> T:
        async def go() -> T:
            return await work

        return self._runner.run(go())
