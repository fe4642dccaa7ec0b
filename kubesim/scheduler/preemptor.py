"""Carries out a preemption: marks and deletes the victims, and tells them why.

Upstream: pkg/scheduler/framework/preemption/executor.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from kubesim.api.kinds import POD
from kubesim.api.objects import Object
from kubesim.api.requests import delete, patch
from kubesim.api.timestamps import to_time
from kubesim.client.informer import Lister
from kubesim.client.port import Client, Reply, ignore_reply
from kubesim.client.recorder import Recorder
from kubesim.errors import ApiError
from kubesim.scheduler.nominator import Nominator
from kubesim.scheduler.plugins.default_preemption import Candidate
from kubesim.scheduler.profile import PodProfile
from kubesim.sim.loop import Loop

OnFailed = Callable[[str], None]


@final
class Preemptor:
    """Evicts victims one request after the other; all victims of one preemption at once."""

    def __init__(self, loop: Loop, client: Client, recorder: Recorder, nominator: Nominator, pods: Lister) -> None:
        self._loop = loop
        self._client = client
        self._recorder = recorder
        self._nominator = nominator
        self._pods = pods
        self._is_stopped = False

    def stop(self) -> None:
        """The process has ended: what was not sent yet never is."""
        self._is_stopped = True

    def evict(self, candidate: Candidate, pod: Object, profile: PodProfile, on_failed: OnFailed) -> None:
        """Make room for the Pod on the candidate; `on_failed` gets its uid if a victim could not be evicted."""
        node_name = candidate.node.name
        victims = [entry.pod for _, entry in candidate.victims if not entry.terminating]
        if not victims:
            return
        self._clear_lower_nominations(node_name, profile)
        for victim in victims:
            self._mark(victim, pod, node_name, on_failed)

    def _clear_lower_nominations(self, node_name: str, profile: PodProfile) -> None:
        """Pods of lower priority that were to come to the node look for another one."""
        for uid, nominated in list(self._nominator.on_node(node_name).items()):
            if nominated.priority >= profile.priority:
                continue
            self._nominator.remove(uid)
            for pod in self._pods.in_namespace(nominated.namespace):
                if pod["metadata"]["uid"] == uid:
                    self._patch_status(pod, {"nominatedNodeName": None}, ignore_reply)

    def _mark(self, victim: Object, pod: Object, node_name: str, on_failed: OnFailed) -> None:
        scheduler = pod["spec"].get("schedulerName", "default-scheduler")
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastTransitionTime": to_time(self._loop.now_ns),
            "reason": "PreemptionByScheduler",
            "message": f"{scheduler}: preempting to accommodate a higher priority pod",
        }
        if "generation" in victim["metadata"]:
            condition["observedGeneration"] = victim["metadata"]["generation"]

        def on_marked(reply: Reply) -> None:
            if self._is_stopped:
                return
            if isinstance(reply, ApiError):
                self._on_error(reply, pod, on_failed)
            else:
                self._delete(victim, pod, node_name, on_failed)

        self._patch_status(victim, {"conditions": [condition]}, on_marked)

    def _delete(self, victim: Object, pod: Object, node_name: str, on_failed: OnFailed) -> None:
        def on_deleted(reply: Reply) -> None:
            if self._is_stopped:
                return
            if isinstance(reply, ApiError):
                self._on_error(reply, pod, on_failed)
            else:
                text = f"Preempted by pod {pod['metadata']['uid']} on node {node_name}"
                self._recorder.event(victim, "Normal", "Preempted", text)

        metadata = victim["metadata"]
        self._client.send(delete(POD, metadata["namespace"], metadata["name"]), on_deleted)

    def _on_error(self, error: ApiError, pod: Object, on_failed: OnFailed) -> None:
        # A victim that is gone already is what was wanted.
        if error.code != 404:
            on_failed(pod["metadata"]["uid"])

    def _patch_status(self, pod: Object, status: Object, on_reply: Callable[[Reply], None]) -> None:
        metadata = pod["metadata"]
        request = patch(POD, metadata["namespace"], metadata["name"], {"status": status}, "strategic", "status")
        self._client.send(request, on_reply)
