"""Doing what a step says: each action in one small function over the port; returns what it was done to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from kubesim.cluster.rolling_out import check_pause
from kubesim.errors import UserError
from kubesim.faults.arguments import Crash, Delete, Drain, NodeTarget, PodTarget, Scale, SetImage, Undo, Workload
from kubesim.faults.draining import is_drained
from kubesim.faults.targets import choose_node, choose_pod, choose_pod_to_delete
from kubesim.scenario.model import Exec, Heal, Patch
from kubesim.scenario.port import Port

# Upstream: kubectl/pkg/drain/drain.go:evictPods waits so long after a refusal @v1.36
_EVICT_AGAIN_NS: Final = 5_000_000_000
_BEGINS: Final = {
    "restorePower": "losePower",
    "rejoin": "isolate",
    "startKubelet": "stopKubelet",
    "uncordon": "cordon",
}
_OF_NODES: Final = (*_BEGINS, *_BEGINS.values())


class Actor:
    """Does the actions of one run; remembers what was disturbed, so that a step can end it without naming it again."""

    def __init__(self, port: Port, namespace: str, resolve: Callable[[str], Path]) -> None:
        self._port = port
        self._namespace = namespace
        self._resolve = resolve
        self._disturbed: dict[str, str] = {}
        self._hanging: tuple[Any, str] | None = None
        self._own: dict[str, Callable[[Any], str]] = {
            "apply": self._apply,
            "crash": self._crash,
            "oom": self._oom,
            "hang": self._hang,
            "wake": self._wake,
            "delete": self._delete,
            "evict": self._evict,
            "drain": self._drain,
            "heal": self._heal,
            "scale": self._scale,
            "setImage": self._set_image,
            "restartRollout": self._restart_rollout,
            "undoRollout": self._undo_rollout,
            "pauseRollout": self._pause_rollout,
            "resumeRollout": self._resume_rollout,
            "patch": self._patch,
            "create": self._create,
            "exec": self._exec,
        }

    def act(self, name: str, argument: Any) -> str:
        """Do it now; returns the object that it was done to, such as `pod/vehicle-api-7d9-x2b`.

        Raises:
            UserError: what it names is not there, or it cannot be done to it.
            ApiError: the API server refuses it.
        """
        if name in _OF_NODES:
            return self._to_node(name, argument)
        do = self._own.get(name)
        return do(argument) if do is not None else self._port.disturb(name, argument, self._namespace)

    def _apply(self, path: str) -> str:
        self._port.apply(self._resolve(path))
        return path

    def _pod_ref(self, pod: Any) -> str:
        return f"pod/{pod['metadata']['name']}"

    def _crash(self, crash: Crash) -> str:
        pod = choose_pod(self._port, crash.of, self._namespace, crash.index)
        self._port.disturb_pod("crash", pod, crash.container, crash.exit_code)
        return self._pod_ref(pod)

    def _oom(self, target: PodTarget) -> str:
        pod = choose_pod(self._port, target.of, self._namespace, target.index)
        self._port.disturb_pod("oom", pod, target.container, 0)
        return self._pod_ref(pod)

    def _hang(self, target: PodTarget) -> str:
        pod = choose_pod(self._port, target.of, self._namespace, target.index)
        self._port.disturb_pod("hang", pod, target.container, 0)
        self._hanging = (pod, target.container)
        return self._pod_ref(pod)

    def _wake(self, target: PodTarget) -> str:
        if self._hanging is None:
            raise UserError(f"nothing of {target.of} hangs; a step with hang must come before wake")
        (pod, container), self._hanging = self._hanging, None
        self._port.disturb_pod("wake", pod, container, 0)
        return self._pod_ref(pod)

    def _delete(self, delete: Delete) -> str:
        reference, namespace = str(delete.of), self._namespace
        pod = choose_pod_to_delete(self._port, delete, self._namespace)
        if pod is not None:
            reference, namespace = self._pod_ref(pod), pod["metadata"]["namespace"]
        self._port.delete(reference, namespace, **delete.options)
        return reference

    def _evict(self, target: PodTarget) -> str:
        pod = choose_pod(self._port, target.of, self._namespace, target.index)
        refusal = self._port.evict(pod)
        return f"{self._pod_ref(pod)} (refused: {refusal})" if refusal else self._pod_ref(pod)

    def _drain(self, drain: Drain) -> str:
        port = self._port
        node = choose_node(port, drain, self._namespace)
        port.cordon(node, is_cordoned=True)
        self._disturbed["cordon"] = node
        end_ns = port.now_ns + drain.timeout
        asked: set[str] = set()
        while port.now_ns < end_ns:
            left = [pod for pod in port.list("pods") if is_drained(pod, node)]
            if not left:
                return f"node/{node}"
            for pod in left:
                if pod["metadata"]["uid"] not in asked and not port.evict(pod):
                    asked.add(pod["metadata"]["uid"])
            self._wait_for_fewer(node, len(left))
        raise DrainTimeout(f"node/{node}")

    def _wait_for_fewer(self, node: str, count: int) -> None:
        """Until one of the Pods that a drain waits for is gone, but not longer than until the next try."""

        def is_fewer() -> bool:
            return sum(is_drained(pod, node) for pod in self._port.list("pods")) < count

        self._port.wait_until(is_fewer, _EVICT_AGAIN_NS)

    def _to_node(self, name: str, target: NodeTarget) -> str:
        begun_by = _BEGINS.get(name)
        if begun_by is not None and not target.node and target.runs is None:
            node = self._disturbed.pop(begun_by, "")
            if not node:
                raise UserError(f"no node has been through {begun_by} before; name the node")
        else:
            node = choose_node(self._port, target, self._namespace)
            self._disturbed[name] = node
        if name in ("cordon", "uncordon"):
            self._port.cordon(node, is_cordoned=name == "cordon")
        else:
            self._port.disturb_node(name, node)
        return f"node/{node}"

    def _heal(self, heal: Heal) -> str:
        return self._port.heal(heal.fault)

    def _scale(self, scale: Scale) -> str:
        self._port.scale(scale.of, scale.replicas, self._namespace)
        return scale.of

    def _set_image(self, change: SetImage) -> str:
        self._port.set_image(change.of, change.image, change.container, self._namespace)
        return change.of

    def _restart_rollout(self, workload: Workload) -> str:
        self._port.restart_rollout(workload.of, self._namespace)
        return workload.of

    def _undo_rollout(self, undo: Undo) -> str:
        self._port.undo_rollout(undo.of, undo.revision, self._namespace)
        return undo.of

    def _pause_rollout(self, workload: Workload) -> str:
        self._check_pause(workload, is_paused=False)
        self._port.patch(workload.of, {"spec": {"paused": True}}, self._namespace)
        return workload.of

    def _resume_rollout(self, workload: Workload) -> str:
        self._check_pause(workload, is_paused=True)
        self._port.patch(workload.of, {"spec": {"paused": None}}, self._namespace)
        return workload.of

    def _check_pause(self, workload: Workload, *, is_paused: bool) -> None:
        obj = self._port.find(workload.of, self._namespace)
        if obj is not None:
            check_pause(obj, is_paused=is_paused)

    def _patch(self, patch: Patch) -> str:
        self._port.patch(patch.of, patch.change, self._namespace, patch.type, patch.subresource)
        return patch.of

    def _create(self, objects: list[Any]) -> str:
        names = []
        for obj in objects:
            created = self._port.create(obj, self._namespace)
            names.append(f"{created['kind'].lower()}/{created['metadata']['name']}")
        return ", ".join(names)

    def _exec(self, command: Exec) -> str:
        pod = choose_pod(self._port, command.of, self._namespace)
        code, output = self._port.exec(pod, command.container, command.command)
        if code:
            raise UserError(f"{' '.join(command.command)} ends with {code}: {output.strip()}")
        return self._pod_ref(pod)


class DrainTimeout(Exception):  # noqa: N818 - what it is called
    """A drain did not come to its end; the text is the node."""
