"""Writes one Pod's status: at most one request under way, later statuses wait and go out as one.

Upstream: pkg/kubelet/status/status_manager.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kubesim.api.kinds import POD
from kubesim.api.memo import IdentitiesMemo
from kubesim.api.requests import Options, delete, patch
from kubesim.errors import ApiError
from kubesim.node.phase import TERMINAL_PHASES
from kubesim.node.pod_conditions import OWN_CONDITIONS
from kubesim.node.status_patch import compute_status_patch, with_condition
from kubesim.sim.loop import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubesim.api.objects import Object
    from kubesim.client.port import Reply
    from kubesim.node.pod_worker import PodWorker

# Upstream: status_manager.go:syncPeriod, after which a write that failed is tried again @v1.36
_RETRY_NS: Final = 10 * SECOND


def _join_conditions(api: Sequence[Object], mine: Sequence[Object]) -> Sequence[Object]:
    foreign = [item for item in api if item["type"] not in OWN_CONDITIONS]
    if not foreign and all(item["type"] in OWN_CONDITIONS for item in mine):
        return mine
    return [*foreign, *(item for item in mine if item["type"] in OWN_CONDITIONS)]


_joined_conditions: IdentitiesMemo[Sequence[Object]] = IdentitiesMemo(_join_conditions)


@final
class StatusWriter:
    """The status that the kubelet wants (`status`), the one that the API is known to have, and the way between."""

    __slots__ = (
        "_api",
        "_is_deleted",
        "_is_sending",
        "_revision",
        "_sent",
        "_worker",
        "deadline",
        "eviction",
        "status",
    )

    def __init__(self, worker: PodWorker) -> None:
        pod = worker.pod
        self._worker = worker
        self.status: Object | None = None
        # The words about a deadline that has passed: they are told again with each status that is made.
        # Upstream: pkg/kubelet/active_deadline.go:ShouldEvict @v1.36
        self.deadline = ""
        # The condition DisruptionTarget of a Pod that the node itself has evicted.
        self.eviction: Object | None = None
        self._api: Object = pod.get("status") or {}
        self._revision = int(pod["metadata"]["resourceVersion"])
        self._is_sending = False
        self._is_deleted = False
        self._sent: Object | None = None

    def set(self, status: Object) -> None:
        """This is the status now."""
        self.status = status
        if self.deadline:
            self._worker.event("Normal", "DeadlineExceeded", self.deadline)
        self.flush()

    def take_api_status(self, pod: Object) -> bool:
        """The watch shows this Pod. Returns whether its status was written by somebody else meanwhile."""
        revision = int(pod["metadata"]["resourceVersion"])
        if revision <= self._revision or self._is_sending:
            return False
        self._revision = revision
        api = pod.get("status") or {}
        is_foreign = api is not self._api and api != self._api
        self._api = api
        return is_foreign

    def with_foreign_conditions(self, old: Object) -> Object:
        """The kubelet's last status with the conditions of others as the API has them."""
        mine = old.get("conditions") or ()
        conditions = _joined_conditions(self._api.get("conditions") or (), mine)
        return old if conditions is mine else {**old, "conditions": conditions}

    def flush(self) -> None:
        """Send what differs from the API, and the final delete when its time has come."""
        worker = self._worker
        if self._is_sending or self._is_deleted or self.status is None or worker.is_gone or not worker.is_alive:
            return
        body = compute_status_patch(self._api, self.status, may_run=worker.may_run)
        if self.eviction is not None:
            body = with_condition(body, self._api, self.eviction)
        if body is not None:
            self._is_sending = True
            self._sent = self.status
            metadata = worker.pod["metadata"]
            request = patch(
                POD,
                metadata["namespace"],
                metadata["name"],
                {"metadata": {"uid": worker.uid}, "status": body},
                "strategic",
                "status",
            )
            worker.node.client.send(request, self._handle_patched)
            return
        self._settle()

    def _settle(self) -> None:
        """The API has all that it is to have: hold one status instead of two, and delete what is through."""
        worker = self._worker
        if self.status is not None and self.status["phase"] == self._api.get("phase"):
            self.status = self._api
        if worker.stage == "finished" and worker.is_deleting and self._api.get("phase") in TERMINAL_PHASES:
            self._is_sending = True
            metadata = worker.pod["metadata"]
            options = Options(grace_period_s=0, precondition_uid=worker.uid)
            request = delete(POD, metadata["namespace"], metadata["name"], options)
            worker.node.client.send(request, self._handle_deleted)

    def _handle_patched(self, reply: Reply) -> None:
        self._is_sending = False
        if isinstance(reply, ApiError):
            self._retry_unless_gone(reply)
            return
        self._api = reply.get("status") or {}
        self._revision = int(reply["metadata"]["resourceVersion"])
        sent, self._sent = self._sent, None
        worker = self._worker
        if sent is self.status and sent == self._api and worker.is_alive and not worker.is_gone:
            # The usual case, without working out once more that there is nothing to send.
            self._settle()
        else:
            self.flush()

    def _handle_deleted(self, reply: Reply) -> None:
        self._is_sending = False
        if isinstance(reply, ApiError):
            self._retry_unless_gone(reply)
        else:
            self._is_deleted = True

    def _retry_unless_gone(self, error: ApiError) -> None:
        if error.code in {404, 409}:
            self._is_deleted = True
        elif self._worker.is_alive:
            self._worker.node.loop.post(_RETRY_NS, self._retry, None)

    def _retry(self, _: None) -> None:
        self.flush()
