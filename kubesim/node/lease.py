"""The node's heartbeat: a Lease renewed every 10 s that says for 40 s that the node is alive.

Upstream: component-helpers/apimachinery/lease/controller.go, pkg/kubelet/kubelet.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kubesim.api.kinds import LEASE
from kubesim.api.requests import create, get, update
from kubesim.api.timestamps import to_micro_time
from kubesim.errors import ApiError
from kubesim.sim.loop import SECOND, Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubesim.api.objects import Object
    from kubesim.client.port import Client, Reply
    from kubesim.sim.chooser import Stream

NAMESPACE: Final = "kube-node-lease"
DURATION_S: Final = 40
_RENEW_NS: Final = 10 * SECOND
_JITTER: Final = 0.04
# Upstream: lease/controller.go:maxUpdateRetries; creating backs off 200 ms doubling to 7 s.
_RETRIES: Final = 5
_CREATE_RETRY_NS: Final = SECOND // 5
_CREATE_RETRY_MAX_NS: Final = 7 * SECOND


def _ignore() -> None:
    pass


@final
class LeaseRenewal:
    """Keeps the Lease of one node renewed, from `start` to `stop`."""

    __slots__ = (
        "_client",
        "_failures",
        "_is_cut_off",
        "_lease",
        "_loop",
        "_name",
        "_owner",
        "_run",
        "_stream",
        "on_return",
        "skew_ns",
    )

    def __init__(self, loop: Loop, client: Client, stream: Stream, name: str) -> None:
        self._loop = loop
        self._client = client
        self._stream = stream
        self._name = name
        self._owner: Object | None = None
        self._lease: Object | None = None
        self._failures = 0
        self._run = 0
        self._is_cut_off = False
        # By how much the node's clock is ahead.
        self.skew_ns = 0
        # Called when a renewal succeeds after one that did not.
        self.on_return: Callable[[], None] = _ignore

    def start(self, node: Object) -> None:
        """Begin; `node` is the Node object that owns the Lease."""
        self._run += 1
        self._owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": node["metadata"]["uid"]}
        self._renew(self._run)

    def stop(self) -> None:
        """No more renewals."""
        self._run += 1
        self._lease = None

    def _renew(self, run: int) -> None:
        if run != self._run:
            return
        self._loop.post(_RENEW_NS + int(_RENEW_NS * _JITTER * self._stream.fraction()), self._renew, run)
        self._failures = 0
        self._send()

    def _send(self) -> None:
        lease = self._lease
        if lease is None:
            self._client.send(get(LEASE, NAMESPACE, self._name), self._handle_found)
            return
        spec = {**lease["spec"], "renewTime": to_micro_time(self._loop.now_ns + self.skew_ns)}
        self._client.send(update(LEASE, {**lease, "spec": spec}), self._handle_written)

    def _handle_written(self, reply: Reply) -> None:
        if not isinstance(reply, ApiError):
            self._lease = reply
            if self._is_cut_off:
                self._is_cut_off = False
                self.on_return()
            return
        self._failures += 1
        self._is_cut_off = True
        if reply.code in {404, 409} or self._failures == _RETRIES:
            self._lease = None  # look what there is, and begin from that
        if self._failures < 2 * _RETRIES and self._owner is not None:
            self._send()

    def _handle_found(self, reply: Reply) -> None:
        if not isinstance(reply, ApiError):
            self._lease = reply
            self._send()
        elif reply.code == 404:
            self._create()
        else:
            self._handle_written(reply)

    def _create(self) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": NAMESPACE, "ownerReferences": [self._owner]},
            "spec": {
                "holderIdentity": self._name,
                "leaseDurationSeconds": DURATION_S,
                "renewTime": to_micro_time(self._loop.now_ns + self.skew_ns),
            },
        }
        self._client.send(create(LEASE, lease), self._handle_created)

    def _handle_created(self, reply: Reply) -> None:
        if not isinstance(reply, ApiError):
            self._lease = reply
            return
        # The namespace may not be there yet.
        delay_ns = min(_CREATE_RETRY_NS << min(self._failures, 8), _CREATE_RETRY_MAX_NS)
        self._failures += 1
        self._loop.post(delay_ns, self._retry, self._run)

    def _retry(self, run: int) -> None:
        if run == self._run and self._lease is None:
            self._send()
