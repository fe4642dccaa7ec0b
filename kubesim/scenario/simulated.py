"""The port's body for the simulator: a thin layer over the `Cluster` facade."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, final

from kubesim.api.objects import Object, key_of
from kubesim.cluster import Cluster
from kubesim.cluster.belonging import events_about
from kubesim.cluster.containers import Containers
from kubesim.cluster.references import parse_kind, parse_reference
from kubesim.errors import ApiError, UserError
from kubesim.faults import FAULTS, Armed, Injector, Schedule, arm
from kubesim.faults.arguments import Argument, NodeName, NodeTarget
from kubesim.faults.targets import split_reference
from kubesim.network.messages import Answer, HttpRequest
from kubesim.node.simulated import SimRuntime
from kubesim.scenario.port import API_FAULTS, Users
from kubesim.scenario.requests import creation_of, patch_of
from kubesim.sim.loop import SECOND
from kubesim.store.watch import Watch
from kubesim.users.asking import ask_service
from kubesim.users.ledger import Audit
from kubesim.users.load import Load
from kubesim.users.report import Counts

_SETTLE_NS = 5 * SECOND
_REFUSED_BY_BUDGET = 429


@final
class SimulatedUsers:
    """Users in the simulator."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self._cluster = cluster
        self._load = load

    def count(self, from_ns: int, to_ns: int) -> Counts:
        return self._load.report.count(from_ns, to_ns)

    def reasons(self) -> dict[str, int]:
        return dict(sorted(self._load.report.reasons.items()))

    def recovery_ns(self, fault_ns: int, until_ns: int) -> int | None:
        return self._load.report.recovery_ns(fault_ns, until_ns)

    def longest_outage_ns(self, from_ns: int, to_ns: int) -> int:
        return self._load.report.longest_outage(from_ns, to_ns)[1]

    def first_unserved(self, from_ns: int, to_ns: int) -> tuple[int, str] | None:
        return self._load.report.first_unserved(from_ns, to_ns)

    def duration_ns(self, share: float) -> int | None:
        return self._load.report.duration_ns(share)

    def audit(self) -> Audit:
        return self._cluster.audit(self._load)

    def stop(self) -> None:
        self._load.stop()


class SimulatedPort:
    """A simulated cluster, for a scenario. `stdin` is what a manifest path of `-` reads."""

    disturbances: Sequence[str] = tuple(name for name in FAULTS if name not in API_FAULTS)

    def __init__(self, cluster: Cluster, stdin: TextIO | None = None) -> None:
        self.cluster = cluster
        self._stdin = stdin
        self.loads: list[Load] = []
        self._injector = Injector(cluster)

    @property
    def now_ns(self) -> int:
        return self.cluster.now_ns

    def apply(self, path: Path) -> Sequence[Object]:
        return self.cluster.apply(path, stdin=self._stdin)

    def find(self, reference: str, namespace: str = "") -> Object | None:
        return self.cluster.find(*split_reference(reference, namespace))

    def list(self, kind: str, namespace: str = "") -> Sequence[Object]:
        return self.cluster.list(kind, namespace)

    def pods_of(self, reference: str, namespace: str = "") -> Sequence[Object]:
        return self.cluster.pods_of(*split_reference(reference, namespace))

    def events_about(self, obj: Object) -> Sequence[Object]:
        space = obj["metadata"].get("namespace", "")
        return events_about(obj, self.list("replicasets", space), self.list("pods", space), self.cluster.events())

    def watch(self, kind: str, on_change: Callable[[str, Object], None], namespace: str = "") -> Callable[[], None]:
        store, resource = self.cluster.store, parse_kind(kind).resource

        def take(watch: Watch) -> None:
            for change, obj in watch.drain():
                if change != "BOOKMARK":
                    on_change(change, obj)

        now = store.revision
        watch = store.watch(resource, namespace=namespace, matches=None, index=None, since=now, notify=take)
        return lambda: store.unwatch(resource, watch)

    def logs(self, pod: Object, container: str = "", *, is_previous: bool = False) -> str:
        lines = Containers(self.cluster.data_plane).output(pod, container, previous=is_previous).lines
        return "".join(f"{text}\n" for _, text in lines)

    def call(self, service: str, request: HttpRequest, namespace: str = "") -> Answer:
        obj = self.cluster.get(f"service/{service}", namespace)
        host = f"{service}.{obj['metadata']['namespace']}.svc.cluster.local"
        fabric, port = self.cluster.data_plane.fabric, obj["spec"]["ports"][0]["port"]
        return ask_service(self.cluster.loop, fabric, host, port, request)

    def wait_until(self, holds: Callable[[], bool], within_ns: int) -> bool:
        return self.cluster.wait(lambda _: holds(), within_ns / SECOND)

    def pass_time(self, span_ns: int, on_change: Callable[[], None] | None = None) -> None:
        if on_change is None:
            self.cluster.loop.run_until(self.now_ns + span_ns)
            return

        def look(_: object) -> bool:
            on_change()
            return False

        self.cluster.wait(look, span_ns / SECOND)

    def settle(self) -> None:
        loop = self.cluster.loop
        end_ns = loop.now_ns + _SETTLE_NS
        loop.run_until(end_ns, lambda: not any(load.report.has_pending for load in self.loads))

    def delete(self, reference: str, namespace: str = "", **options: Any) -> None:
        own, space = split_reference(reference, namespace)
        self.cluster.delete(own, space, **options)

    def evict(self, pod: Object) -> str:
        try:
            self.cluster.evict(f"pod/{pod['metadata']['name']}", pod["metadata"]["namespace"])
        except ApiError as error:
            if error.code != _REFUSED_BY_BUDGET:
                raise
            return error.causes[0].message if error.causes else error.message
        return ""

    def cordon(self, node: str, *, is_cordoned: bool) -> None:
        self.cluster.cordon(node, is_cordoned)

    def create(self, obj: Object, namespace: str = "") -> Object:
        return self.cluster.send(creation_of(obj, namespace))

    def patch(
        self, reference: str, change: Any, namespace: str = "", patch_type: str = "strategic", subresource: str = ""
    ) -> None:
        own, space = split_reference(reference, namespace)
        obj = self.cluster.get(own, space)
        kind, _ = parse_reference(own)
        self.cluster.send(patch_of((kind, *key_of(obj)), change, patch_type, subresource))

    def exec(self, pod: Object, container: str, command: Sequence[str]) -> tuple[int, str]:
        name = container or pod["spec"]["containers"][0]["name"]
        runtime = self.cluster.data_plane.node_of(pod).runtime
        process = runtime.process_of(pod["metadata"]["uid"], name) if isinstance(runtime, SimRuntime) else None
        if process is None:
            raise UserError(f"pod/{pod['metadata']['name']}: nothing can be run in container {name} now")
        result = process.execute(command)
        self.cluster.run(result.duration_ns / SECOND)
        return result.exit_code, result.output

    def scale(self, reference: str, replicas: int, namespace: str = "") -> None:
        own, space = split_reference(reference, namespace)
        self.cluster.scale(own, replicas, space)

    def set_image(self, reference: str, image: str, container: str = "", namespace: str = "") -> None:
        own, space = split_reference(reference, namespace)
        self.cluster.set_image(own, image, container, space)

    def restart_rollout(self, reference: str, namespace: str = "") -> None:
        self.cluster.restart_rollout(*split_reference(reference, namespace))

    def undo_rollout(self, reference: str, revision: int = 0, namespace: str = "") -> None:
        own, space = split_reference(reference, namespace)
        self.cluster.undo_rollout(own, revision, space)

    def disturb_pod(self, name: str, pod: Object, container: str, exit_code: int) -> None:
        faults = self.cluster.faults
        if name == "crash":
            faults.crash(pod, container, exit_code)
        elif name == "oom":
            faults.exhaust_memory(pod, container)
        elif name == "hang":
            faults.hang(pod, container)
        else:
            faults.wake(pod, container)

    def disturb_node(self, name: str, node: str) -> None:
        self._injector.inject(name, NodeTarget(node=NodeName(node)))

    def disturb(self, fault: str, argument: Argument, namespace: str = "") -> str:
        self._injector.namespace = namespace
        return self._injector.inject(fault, argument)[0]

    def heal(self, fault: str) -> str:
        return self._injector.heal_last(fault)

    def start_faults(self, schedule: Schedule, namespace: str = "") -> Armed:
        return arm(self.cluster, schedule, namespace)

    def start_users(self, service: str, namespace: str, rate_per_second: float, write_percent: int) -> Users:
        load = self.cluster.load(service, namespace, rate_per_second=rate_per_second, write_percent=write_percent)
        self.loads.append(load)
        return SimulatedUsers(self.cluster, load)
