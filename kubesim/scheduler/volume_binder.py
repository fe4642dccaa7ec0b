"""Makes the API's volumes follow a decision before the Pod is bound: write the plan, then wait until it is carried out.

Upstream: pkg/scheduler/framework/plugins/volumebinding/binder.go:BindPodVolumes @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, final

from kubesim.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kubesim.api.objects import Object, annotations_of, with_metadata
from kubesim.api.requests import Request, update
from kubesim.api.volume_binding import BOUND_BY_CONTROLLER, SELECTED_NODE
from kubesim.client.port import Client, Reply
from kubesim.errors import ApiError
from kubesim.scheduler.plugins.claims import is_fully_bound
from kubesim.scheduler.plugins.volume_binding import Plan, VolumeBinding
from kubesim.scheduler.snapshot import Listers
from kubesim.sim.loop import SECOND, Loop

# How long a Pod waits for its volumes. Upstream: apis/config/v1/defaults.go:BindTimeoutSeconds @v1.36
BIND_TIMEOUT_NS: Final = 600 * SECOND
_TIMED_OUT: Final = "binding volumes: context deadline exceeded"

# Called with what went wrong, or with nothing.
OnDone = Callable[[str], None]


class _Waiting(NamedTuple):
    """A claim that must become bound; `revision` is that of our own write, before which nothing can be judged."""

    claim: Object
    revision: int
    node_name: str


@final
class _Job:
    __slots__ = ("bindings", "claims", "on_done", "unanswered")

    def __init__(self, on_done: OnDone, bindings: tuple[str, ...], unanswered: int) -> None:
        self.on_done = on_done
        # The volumes promised to this Pod's claims.
        self.bindings = bindings
        self.claims: list[_Waiting] = []
        self.unanswered = unanswered


@final
class VolumeBinder:
    """Writes and watches for all Pods whose volumes are under way."""

    def __init__(self, loop: Loop, client: Client, listers: Listers, plugin: VolumeBinding) -> None:
        self._loop = loop
        self._client = client
        self._listers = listers
        self._plugin = plugin
        self._jobs: dict[str, _Job] = {}

    def bind(self, uid: str, plan: Plan, node_name: str, on_done: OnDone) -> None:
        """Carry out the plan of the Pod with this uid; `on_done` is called once, later."""
        names = tuple(volume["metadata"]["name"] for volume, _ in plan.bindings)
        job = self._jobs[uid] = _Job(on_done, names, len(plan.bindings) + len(plan.provisions))
        for volume, claim in plan.bindings:
            self._plugin.assumed[volume["metadata"]["name"]] = claim
            self._write(uid, update(PERSISTENT_VOLUME, _claimed(volume, claim)), claim, "")
        for claim in plan.provisions:
            selected = {**annotations_of(claim), SELECTED_NODE: node_name}
            self._write(
                uid, update(PERSISTENT_VOLUME_CLAIM, with_metadata(claim, annotations=selected)), claim, node_name
            )
        self._loop.timer(BIND_TIMEOUT_NS, lambda: self._finish(uid, _TIMED_OUT) if self._jobs.get(uid) is job else None)

    def _write(self, uid: str, request: Request, claim: Object, node_name: str) -> None:
        def on_reply(reply: Reply) -> None:
            job = self._jobs.get(uid)
            if job is None:
                return
            if isinstance(reply, ApiError):
                self._finish(uid, f"binding volumes: {reply.message}")
                return
            revision = int(reply["metadata"]["resourceVersion"]) if node_name else 0
            job.claims.append(_Waiting(claim, revision, node_name))
            job.unanswered -= 1
            self._check(uid, job)

        self._client.send(request, on_reply)

    def check(self) -> None:
        """A claim or a volume has changed: see who is done."""
        for uid, job in list(self._jobs.items()):
            self._check(uid, job)

    def _check(self, uid: str, job: _Job) -> None:
        if job.unanswered:
            return
        done = True
        for waiting in job.claims:
            metadata = waiting.claim["metadata"]
            claim = self._listers.claims.get(metadata["namespace"], metadata["name"])
            if claim is None:
                self._finish(uid, f'binding volumes: persistentvolumeclaim "{metadata["name"]}" not found')
                return
            if int(claim["metadata"]["resourceVersion"]) < waiting.revision:
                done = False
                continue
            if waiting.node_name and annotations_of(claim).get(SELECTED_NODE) != waiting.node_name:
                # The provisioner takes the annotation away to say that it cannot do it there.
                self._finish(uid, f'binding volumes: provisioning failed for PVC "{metadata["name"]}"')
                return
            done &= is_fully_bound(claim)
        if done:
            self._finish(uid, "")

    def _finish(self, uid: str, problem: str) -> None:
        job = self._jobs.pop(uid)
        for name in job.bindings:
            self._plugin.assumed.pop(name, None)
        job.on_done(f'running PreBind plugin "VolumeBinding": {problem}' if problem else "")


def _claimed(volume: Object, claim: Object) -> Object:
    """The volume as reserved for the claim. Upstream: pv_helpers.go:GetBindVolumeToClaim @v0.36"""
    metadata = claim["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
    reserved = {**volume, "spec": {**volume["spec"], "claimRef": reference}}
    if volume["spec"].get("claimRef") is None:
        return with_metadata(reserved, annotations={**annotations_of(volume), BOUND_BY_CONTROLLER: "yes"})
    return reserved
