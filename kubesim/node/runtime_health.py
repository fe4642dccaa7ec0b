"""What the kubelet makes of a container runtime that does not answer: the node is not ready, in the kubelet's words.

Upstream: pkg/kubelet/{runtime.go:runtimeErrors,kubelet.go:updateRuntimeUp}, pkg/kubelet/pleg/generic.go:Healthy @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from kubesim.node.backoff import go_seconds
from kubesim.sim.loop import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubesim.node.kubelet import Kubelet

# Upstream: kubelet.go:{maxWaitForContainerRuntime,genericPlegRelistThreshold}; its status is looked at every 10 s.
DOWN_AFTER_NS: Final = 30 * SECOND
SILENT_AFTER_NS: Final = 3 * MINUTE
_LOOK_NS: Final = 10 * SECOND


@final
class RuntimeHealth:
    """Since when the runtime of one node has not answered, if it does not."""

    __slots__ = ("_kubelet", "_on_change", "_run", "_since_ns")

    def __init__(self, kubelet: Kubelet, on_change: Callable[[], None]) -> None:
        self._kubelet = kubelet
        self._on_change = on_change
        self._since_ns: int | None = None
        self._run = 0

    def handle_stopped(self) -> None:
        """The runtime's process is gone."""
        if self._since_ns is None:
            self._since_ns = self._kubelet.loop.now_ns
            self.start()

    def handle_started(self) -> None:
        """It is there again; the next look at the node's status finds that."""
        if self._since_ns is None:
            return
        had_problem, self._since_ns = bool(self.problem()), None
        self._run += 1
        if had_problem:
            self._on_change()

    def start(self) -> None:
        """With the kubelet's process, and with the outage: look from then on."""
        self._run += 1
        if self._since_ns is not None:
            self._kubelet.loop.post(_LOOK_NS, self._look, self._run)

    def problem(self) -> str:
        """What the Ready condition says of it; an empty text while nothing is wrong."""
        if self._since_ns is None:
            return ""
        for_ns = self._kubelet.loop.now_ns - self._since_ns
        problems = ["container runtime is down"] if for_ns >= DOWN_AFTER_NS else []
        if for_ns > SILENT_AFTER_NS:
            problems.append(
                f"PLEG is not healthy: pleg was last seen active {go_seconds(for_ns)} ago; "
                f"threshold is {go_seconds(SILENT_AFTER_NS)}"
            )
        return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""

    def _look(self, run: int) -> None:
        if run != self._run or not self._kubelet.is_running:
            return
        if self.problem():
            self._on_change()
        self._kubelet.loop.post(_LOOK_NS, self._look, run)
