"""A simulated cluster to hold in one's hand.

    with Cluster(nodes=3) as cluster:
        cluster.apply("specs/stack.yaml")
        cluster.until(ready("deployment/vehicle-api"))
        cluster.crash("pod/postgres-0")
        cluster.until(ready("pod/postgres-0"))

The user's own calls take no virtual time; what they set in motion happens while the clock runs, in `run` and `until`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, final

from kubesim.api.conditions import is_condition_true
from kubesim.api.kinds import NODE, POD
from kubesim.api.objects import Key, Object, key_of
from kubesim.api.requests import Options, Request, create, create_subresource, delete, patch
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import to_time
from kubesim.apiserver.alone import check_alone
from kubesim.apiserver.pod_admission import TryAgain
from kubesim.apiserver.server import ApiServer, Identity, OnWrite, Write
from kubesim.cluster.applying import Applier
from kubesim.cluster.belonging import pods_of
from kubesim.cluster.bootstrap import fresh_objects
from kubesim.cluster.components import ControllerManager, SchedulerProcess
from kubesim.cluster.control_plane import ControlPlane
from kubesim.cluster.data_plane import Bodies, DataPlane
from kubesim.cluster.faults import Faults
from kubesim.cluster.options import ClusterOptions
from kubesim.cluster.recording import Recording
from kubesim.cluster.references import find_object, nearest_name, parse_kind, parse_reference
from kubesim.cluster.rolling_out import check_restart
from kubesim.cluster.undoing import plan_undo
from kubesim.cluster.waiting import Condition
from kubesim.controllers.base import Controller, ControllerContext
from kubesim.errors import UserError
from kubesim.manifests import Manifest
from kubesim.sim.chooser import Chooser, Stream
from kubesim.sim.loop import SECOND, Loop
from kubesim.sim.trace import Trace
from kubesim.users.ledger import Audit
from kubesim.users.load import Load, Plan

_ADMIN = Identity("kubernetes-admin", manager="kubesim")
_DEFAULT_WAIT_S = 600
Objects = list[Object]


@final
class Cluster:
    """API server, controllers, scheduler and nodes over one loop."""

    def __init__(
        self,
        options: ClusterOptions | None = None,
        *,
        bodies: Bodies | None = None,
        start_ns: int = 0,
        restore: Callable[[ApiServer], None] | None = None,
        **changes: Any,
    ) -> None:
        """Make a cluster; its nodes register as time begins to run. `changes` are fields of `ClusterOptions`.

        `bodies` replace the simulated container runtimes and networks of nodes; `start_ns` is the instant of its birth.
        `restore` fills the API server where it is not to be fresh.

        Raises:
            UserError: an option is out of range.
        """
        options = options or ClusterOptions()
        self.options = options = options.with_changes(changes)
        self.loop = Loop() if bodies is None else bodies.loop
        self.loop.now_ns = max(self.loop.now_ns, start_ns)
        self.trace = Trace()
        self._chooser = Chooser(options.seed)
        self.plane = ControlPlane(self.loop, self._chooser, options)
        self.store = self.plane.store
        self.recording = Recording(self.loop, self.trace) if options.records else None
        if restore is not None:
            restore(self.plane.server)
        for kind, obj in () if restore is not None else fresh_objects():
            self.plane.server.handle(
                create(kind, obj), Identity("system:apiserver", is_trusted=True, manager="kube-apiserver")
            )
        self._listeners: tuple[OnWrite, ...] = ()
        if self.recording is not None:
            self.listen(self.recording.on_write)
        self.controller_manager = ControllerManager(self.plane, self._chooser, options)
        self.scheduler = SchedulerProcess(self.plane, self._chooser, options)
        self.data_plane = DataPlane(self.plane, self._chooser, options, bodies)
        self.faults = Faults(self.loop, self.data_plane, self.recording)
        self._applier = Applier(self.send, self._check, self._stored)
        self._loads: list[Load] = []

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything that runs in the cluster. Its objects can still be read."""
        for load in self._loads:
            load.stop()
        self.controller_manager.stop()
        self.scheduler.stop()
        self.data_plane.stop()

    # --- time ---

    @property
    def now_ns(self) -> int:
        """Virtual nanoseconds since the cluster was made."""
        return self.loop.now_ns

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until(self.loop.now_ns + round(seconds * SECOND))

    def until(self, condition: Condition | Callable[[Cluster], bool], within: float = _DEFAULT_WAIT_S) -> int:
        """Let time pass until the condition holds; returns how long that took in ns.

        Raises:
            TimeoutError: it does not hold after `within` virtual seconds; says why, where the condition knows.
        """
        start_ns = self.loop.now_ns
        if self.wait(condition.holds if isinstance(condition, Condition) else condition, within):
            return self.loop.now_ns - start_ns
        text = f"{condition.text}: {condition.why_not(self)}" if isinstance(condition, Condition) else "a condition"
        raise TimeoutError(f"waited {within:g} s of virtual time for {text}")

    def wait(self, holds: Callable[[Any], bool], within: float) -> bool:
        """Let time pass until `holds(cluster)`, asked at every write, or `within` seconds; returns whether it held."""
        if holds(self):
            return True
        store = self.store
        seen = store.revision

        def stop() -> bool:
            nonlocal seen
            if store.revision == seen:
                return False
            seen = store.revision
            return holds(self)

        return self.loop.run_until(self.loop.now_ns + round(within * SECOND), stop) or holds(self)

    # --- the API ---

    def send(self, request: Request, identity: Identity = _ADMIN) -> Object:
        """Send any request as the cluster's administrator; it is carried out now.

        Raises:
            ApiError: the API server's answer, where it is not success.
        """
        attempt = 0
        while True:
            self.plane.refuse_if_down()
            try:
                return self.plane.server.handle(request, identity, attempt)
            except TryAgain as held:
                self.loop.run_until(self.loop.now_ns + held.after_ns)
                attempt += 1

    def apply(self, *sources: str | Path, stdin: TextIO | None = None) -> Objects:
        """Apply manifests from files, folders or standard input (`-`); returns the stored objects.

        Raises:
            UserError: something is wrong with a manifest; nothing has been written then.
        """
        return self._applier.apply(sources, stdin)

    def apply_loaded(self, manifests: Sequence[Manifest]) -> Objects:
        """Apply manifests that `kubesim.manifests.load` has read.

        Raises:
            UserError: the API server refuses one of them; nothing has been written then.
        """
        return self._applier.apply_loaded(manifests)

    def create(self, obj: Object) -> Object:
        """Create one object, given as a dict."""
        kind = self._kind_of(obj)
        if kind.namespaced and "namespace" not in obj["metadata"]:
            obj = {**obj, "metadata": {**obj["metadata"], "namespace": "default"}}
        return self.send(create(kind, obj))

    def find(self, reference: str, namespace: str = "") -> Object | None:
        """The object that a reference such as `pod/postgres-0` names, or None."""
        return find_object(self.store, reference, namespace)

    def get(self, reference: str, namespace: str = "", *, show_managed_fields: bool = False) -> Object:
        """The object that a reference names; with `managedFields` if asked for, which say who has set what.

        Raises:
            UserError: there is none; the nearest name is given.
        """
        obj = self.find(reference, namespace)
        if obj is None:
            near = nearest_name(self.store, reference)
            hint = f"; did you mean {near}?" if near else ""
            raise UserError(f"there is no {reference}{hint}")
        return self.plane.server.ledger.shown(obj) if show_managed_fields else obj

    def list(self, kind: str, namespace: str = "") -> Objects:
        """All objects of a kind (`pods`, `deploy`, …), by namespace and name."""
        table = self.store.table(parse_kind(kind).resource)
        return [table.objects[key] for key in table.sorted_keys() if not namespace or key.namespace == namespace]

    def delete(self, reference: str, namespace: str = "", **options: Any) -> None:
        """Delete an object; `options` are those of `kubesim.api.requests.Options`, such as `grace_period_s=0`."""
        kind, key = self._key(reference, namespace)
        self.send(delete(kind, *key, Options(**options)))

    def patch(self, reference: str, change: Object, namespace: str = "") -> Object:
        """Merge a change into an object (strategic merge patch)."""
        kind, key = self._key(reference, namespace)
        return self.send(patch(kind, *key, change, "strategic"))

    def scale(self, reference: str, replicas: int, namespace: str = "") -> None:
        """Set a workload's size through its scale subresource."""
        kind, key = self._key(reference, namespace)
        self.send(patch(kind, *key, {"spec": {"replicas": replicas}}, "merge", "scale"))

    def set_image(self, reference: str, image: str, container: str = "", namespace: str = "") -> None:
        """Give a workload's container another image; without a name the first one.

        Raises:
            UserError: it makes no Pods, or none with that container.
        """
        obj = self.get(reference, namespace)
        template = (obj.get("spec") or {}).get("template")
        if template is None:
            raise UserError(f"{reference} has no Pod template, so no image can be set")
        containers = template["spec"]["containers"]
        name = container or containers[0]["name"]
        if all(each["name"] != name for each in containers):
            names = ", ".join(each["name"] for each in containers)
            raise UserError(f'{reference} has no container "{name}"; it has {names}')
        change = {"spec": {"containers": [{"name": name, "image": image}]}}
        self.patch(reference, {"spec": {"template": change}}, namespace)

    def restart_rollout(self, reference: str, namespace: str = "") -> None:
        """What `kubectl rollout restart` does: a new template that differs by an annotation.

        Raises:
            UserError: it is no workload that can be rolled out, or it is paused.
        """
        check_restart(self.get(reference, namespace))
        stamp = {"kubectl.kubernetes.io/restartedAt": to_time(self.loop.now_ns)}
        template = {"metadata": {"annotations": stamp}}
        self.patch(reference, {"spec": {"template": template}}, namespace)

    def undo_rollout(self, reference: str, revision: int = 0, namespace: str = "") -> None:
        """What `kubectl rollout undo` does: an earlier template of a Deployment again; 0 means the one before.

        Raises:
            UserError: it is no Deployment, it is paused, or there is no such revision.
        """
        deployment = self.get(reference, namespace)
        request = plan_undo(deployment, self.list("replicasets", deployment["metadata"]["namespace"]), revision)
        if request is not None:
            self.send(request)

    def evict(self, reference: str, namespace: str = "") -> None:
        """Evict a Pod, if its disruption budget allows.

        Raises:
            ApiError: 429, it does not.
        """
        _, key = self._key(reference, namespace)
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": key.name, "namespace": key.namespace},
        }
        self.send(create_subresource(POD, key.namespace, key.name, "eviction", body))

    def cordon(self, node: str, unschedulable: bool = True) -> None:
        """Let no new Pods onto a node, or (False) let them again."""
        self.get(f"node/{node}")
        self.send(patch(NODE, "", node, {"spec": {"unschedulable": unschedulable or None}}))

    # --- Pods ---

    def pods_of(self, reference: str, namespace: str = "") -> Objects:
        """The Pods of a workload, by name; a Pod's reference gives that Pod."""
        obj = self.get(reference, namespace)
        namespace = obj["metadata"].get("namespace", "")
        return pods_of(obj, self.list("replicasets", namespace), self.list("pods", namespace))

    # --- faults; `cluster.faults` has the others ---

    def crash(self, reference: str, container: str = "", exit_code: int = 1, namespace: str = "") -> None:
        """End the process of a container of a Pod, or of a workload's first Ready Pod.

        Raises:
            UserError: there is no such container, or it does not run.
        """
        self.faults.crash(self.ready_pod_of(reference, namespace), container, exit_code)

    def ready_pod_of(self, reference: str, namespace: str = "") -> Object:
        """A Pod by its own reference, or the first Ready one by name of a workload, else its first one.

        Raises:
            UserError: the workload has no Pod.
        """
        pods = self.pods_of(reference, namespace)
        if not pods:
            raise UserError(f"{reference} has no Pod now; wait until it has one")
        is_ready = [is_condition_true(pod["status"].get("conditions"), "Ready") for pod in pods]
        return pods[is_ready.index(True)] if True in is_ready else pods[0]

    # --- users ---

    def load(self, service: str, namespace: str = "", **plan: Any) -> Load:
        """Start users of a Service; `plan` are fields of `kubesim.users.load.Plan`, such as `rate_per_second=20`."""
        obj = self.get(f"service/{service}", namespace)
        metadata = obj["metadata"]
        plan.setdefault("port", obj["spec"]["ports"][0]["port"])
        host = f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
        number = len(self._loads)
        stream = self._chooser.stream(f"users-{number}")
        load = Load(self.loop, self.data_plane.fabric, stream, Plan(host=host, **plan), number)
        self._loads.append(load)
        load.start()
        return load

    @property
    def loads(self) -> Sequence[Load]:
        """All users that were started."""
        return self._loads

    def audit(self, load: Load) -> Audit:
        """Compare what a load's users were told is stored with what the databases hold now."""
        ledger = load.ledger
        return ledger.compare(self.data_plane.database_rows(ledger.table, ledger.column))

    # --- inside ---

    def add_controller(self, name: str, make: Callable[[ControllerContext], Controller]) -> None:
        """Run a controller of one's own beside the built-in ones; see `kubesim.controllers.base`."""
        self.controller_manager.add(name, make)

    @property
    def calm_since_ns(self) -> int | None:
        """Since when the whole control plane has run and been reached by all; None where that is not so now."""
        whole_ns, scheduler = self.controller_manager.whole_since_ns, self.scheduler.leadership
        if whole_ns is None or not scheduler.is_leading or not self.plane.is_calm:
            return None
        return max(whole_ns, scheduler.since_ns, self.plane.disturbed_ns)

    def stream(self, name: str) -> Stream:
        """A source of choices of its own, for who disturbs this cluster."""
        return self._chooser.stream(name)

    def listen(self, listener: OnWrite) -> None:
        """Have `listener` called with every write from now on, right after it and before anybody else hears of it."""
        self._set_listeners((*self._listeners, listener))

    def stop_listening(self, listener: OnWrite) -> None:
        """The end of `listen`."""
        self._set_listeners(tuple(each for each in self._listeners if each != listener))

    def _set_listeners(self, listeners: tuple[OnWrite, ...]) -> None:
        self._listeners = listeners

        def tell_all(write: Write) -> None:
            for listener in listeners:
                listener(write)

        self.plane.server.on_write = tell_all if len(listeners) > 1 else listeners[0] if listeners else None

    def events(self) -> Iterator[Object]:
        """All Events that still live, oldest first."""
        yield from self.store.table("events").objects.values()

    def _key(self, reference: str, namespace: str) -> tuple[Kind, Key]:
        kind, _ = parse_reference(reference)
        return kind, key_of(self.get(reference, namespace))

    def _kind_of(self, obj: Object) -> Kind:
        from kubesim.api.kinds import find_kind, nearest_kind

        kind = find_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
        if kind is None:
            near = nearest_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
            raise UserError(f"no kind {obj.get('kind')} in {obj.get('apiVersion')}; did you mean {near}?")
        return kind

    def _stored(self, kind: Kind, obj: Object) -> Object | None:
        metadata = obj["metadata"]
        return self.store.get(kind.resource, (metadata.get("namespace", ""), metadata.get("name", "")))

    def _check(self, kind: Kind, obj: Object) -> Object:
        return check_alone(kind, obj, to_time(self.loop.now_ns))
