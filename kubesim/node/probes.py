"""Startup, readiness and liveness probes of one container.

A prober ticks on the grid that starts when its Pod's volumes are ready, as the kubelet's ticker does, but only while a
tick can change something: it has no timer while its container isn't running or started, while it is on hold, or while
a steady container has answered well often enough. It then wakes at a tick of its own grid.
Upstream: pkg/kubelet/prober/{worker,prober}.go @v1.36
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from kubesim.network.messages import HttpReply, HttpRequest, NetError
from kubesim.node.env import expand
from kubesim.node.http_action import http_headers
from kubesim.node.runtime import ContainerRecord, RuntimeFailure
from kubesim.sim.loop import SECOND, Timer

if TYPE_CHECKING:
    from kubesim.api.objects import Object
    from kubesim.node.facts import ContainerFacts
    from kubesim.node.plan import ProbeResult
    from kubesim.node.pod_worker import PodWorker

_INITIAL: Final[dict[str, ProbeResult]] = {"Startup": "unknown", "Readiness": "failure", "Liveness": "success"}
# Upstream: pkg/kubelet/prober/prober.go:maxProbeRetries @v1.36
_TRIES = 3


# The field of the container's status that shows a probe's result.
_SHOWN_AS = {"Startup": "started", "Readiness": "ready", "Liveness": ""}


# What the kubelet says of a handler that answers with 503.
_UNREADY: Final = "HTTP probe failed with statuscode: 503"


@final
class Prober:
    """One probe. `kind` is Startup, Readiness or Liveness; `result` what it says at present."""

    __slots__ = (
        "_failures_needed",
        "_generation",
        "_is_eligible",
        "_is_on_hold",
        "_is_probing",
        "_is_triggered",
        "_last",
        "_origin_ns",
        "_owner",
        "_period_ns",
        "_run",
        "_spec",
        "_successes_needed",
        "_timer",
        "kind",
        "record",
        "result",
    )

    def __init__(self, owner: ContainerProbes, kind: str, spec: Object, origin_ns: int) -> None:
        self._owner = owner
        self.kind = kind
        self._spec = spec
        self._period_ns = spec.get("periodSeconds", 10) * SECOND
        self._failures_needed: int = spec.get("failureThreshold", 3)
        self._successes_needed: int = spec.get("successThreshold", 1)
        self._origin_ns = origin_ns
        self.result: ProbeResult = "unknown"
        self.record: ContainerRecord | None = None
        self._last: ProbeResult = "unknown"
        self._run = 0
        self._is_on_hold = False
        self._is_eligible = False
        self._is_probing = False
        self._is_triggered = False
        self._generation = 0
        self._timer: Timer | None = None

    def observe(self, record: ContainerRecord | None, is_started: bool) -> None:
        """Look at the container as the Pod's status has it now: it may be a new one, running, started or ended."""
        if record is not self.record:
            self.record = record
            self.result = _INITIAL[self.kind]
            self._last = "unknown"
            self._run = 0
            self._is_on_hold = False
            self._is_probing = False
            self._generation += 1
            self._cancel()
        if record is None or record.state != "running":
            self._is_eligible = False
            if record is not None and record.state == "exited":
                self.result = "failure"
            self._cancel()
            return
        self._is_eligible = not self._is_on_hold and is_started == (self.kind != "Startup")
        if not self._is_eligible:
            self._cancel()
        elif self._timer is None and not self._is_probing and not self._is_settled():
            self._schedule()

    def adopt(self, result: ProbeResult) -> None:
        """After a restart of the kubelet: what the container was said to be stays so until a probe has run."""
        self.result = result

    def trigger(self) -> None:
        """Probe now rather than at the next tick; the grid starts anew from here."""
        if not self._is_eligible:
            return
        if self._is_probing:
            self._is_triggered = True
            return
        self._cancel()
        now_ns = self._owner.worker.node.loop.now_ns
        if now_ns < self._origin_ns:
            self._schedule()  # still in the wait by which a kubelet that has just started spreads its probers
            return
        self._origin_ns = now_ns
        if self._earliest_ns() > self._origin_ns:
            self._schedule()
        else:
            self._probe()

    def wake(self) -> None:
        """The container's health may have changed: go on ticking."""
        if self._is_eligible and self._timer is None and not self._is_probing:
            self._schedule()

    def stop(self) -> None:
        """No more probes; the result stays."""
        self._is_on_hold = True
        self._is_eligible = False
        self._generation += 1
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_settled(self) -> bool:
        if self.result != "success" or self._last != "success" or self._run < self._successes_needed:
            return False
        worker = self._owner.worker
        return self.record is not None and worker.node.runtime.is_steady(self.record)

    def _earliest_ns(self) -> int:
        """When the initial delay is over; it counts from the whole second in which the container started."""
        record = self.record
        if record is None:
            return 0
        delay_ns: int = self._spec.get("initialDelaySeconds", 0) * SECOND
        return record.started_at_ns // SECOND * SECOND + delay_ns if delay_ns else 0

    def _schedule(self) -> None:
        loop = self._owner.worker.node.loop
        now_ns = loop.now_ns
        from_ns = max(now_ns + 1, self._earliest_ns())
        ticks = max(0, -(-(from_ns - self._origin_ns) // self._period_ns))
        self._timer = loop.timer(self._origin_ns + ticks * self._period_ns - now_ns, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._is_eligible:
            self._probe()

    def _probe(self, tries: int = _TRIES) -> None:
        self._is_probing = True
        record = self.record
        generation = self._generation
        started_ns = self._owner.worker.node.loop.now_ns
        if record is None:
            return

        def on_outcome(result: ProbeResult, output: str) -> None:
            if generation != self._generation or record is not self.record:
                return
            if result == "unknown" and tries > 1:
                self._probe(tries - 1)
                return
            self._is_probing = False
            self._handle(result, output, started_ns)

        if record.is_unready and self.kind == "Readiness":
            self._owner.worker.node.loop.post(0, lambda _: on_outcome("failure", _UNREADY), None)
            return
        self._owner.run(self._spec, record, on_outcome)

    def _handle(self, result: ProbeResult, output: str, started_ns: int) -> None:
        worker = self._owner.worker
        if result == "unknown":
            self._owner.unhealthy(f"{self.kind} probe errored and resulted in unknown state: {output}")
        else:
            if result == "failure":
                self._owner.unhealthy(f"{self.kind} probe failed: {output}")
            self._count(result)
        if not self._is_eligible or self._is_on_hold:
            return
        if self._is_triggered:
            self._is_triggered = False
            self.trigger()
        elif not self._is_probing and self._timer is None and not self._is_settled():
            loop = worker.node.loop
            # A tick that came while the probe ran is not lost: Go's ticker keeps one.
            ticks = (loop.now_ns - self._origin_ns) // self._period_ns
            if ticks > (started_ns - self._origin_ns) // self._period_ns:
                self._probe()
            else:
                self._schedule()

    def _count(self, result: ProbeResult) -> None:
        if result == self._last:
            self._run += 1
        else:
            self._last = result
            self._run = 1
        if self._run < (self._failures_needed if result == "failure" else self._successes_needed):
            return
        has_changed = result != self.result
        self.result = result
        if self.kind == "Startup" or (self.kind == "Liveness" and result == "failure"):
            self._is_on_hold = True
            self._is_eligible = False
            self._run = 0
        if has_changed:
            self._owner.worker.handle_probe_result(self.record, _SHOWN_AS[self.kind], is_success=result == "success")


@final
class ContainerProbes:
    """The probes of one container, and how they are carried out. Satisfies `plan.ProbeResults`."""

    __slots__ = ("_liveness", "_readiness", "_startup", "facts", "worker")

    def __init__(self, worker: PodWorker, facts: ContainerFacts, origin_ns: int) -> None:
        self.worker = worker
        self.facts = facts
        spec = facts.spec
        self._startup = self._make("Startup", spec.get("startupProbe"), origin_ns)
        self._readiness = self._make("Readiness", spec.get("readinessProbe"), origin_ns)
        self._liveness = self._make("Liveness", spec.get("livenessProbe"), origin_ns)

    def _make(self, kind: str, spec: Object | None, origin_ns: int) -> Prober | None:
        if spec is None:
            return None
        node = self.worker.node
        period_ns = spec.get("periodSeconds", 10) * SECOND
        # Only a kubelet that has just started spreads its probers.
        if node.loop.now_ns - node.started_at_ns < period_ns:
            origin_ns += int(node.stream.fraction() * period_ns)
        return Prober(self, kind, spec, origin_ns)

    @property
    def startup(self) -> ProbeResult | None:
        """What the startup probe says."""
        return self._startup.result if self._startup is not None else None

    @property
    def readiness(self) -> ProbeResult | None:
        """What the readiness probe says."""
        return self._readiness.result if self._readiness is not None else None

    @property
    def liveness(self) -> ProbeResult | None:
        """What the liveness probe says."""
        return self._liveness.result if self._liveness is not None else None

    def _all(self) -> list[Prober]:
        return [prober for prober in (self._startup, self._readiness, self._liveness) if prober is not None]

    def observe(self, record: ContainerRecord | None) -> None:
        """The Pod's status is being computed: see to all probes of the container."""
        if self._startup is not None:
            is_running = record is not None and record.state == "running" and self._startup.record is record
            self._startup.observe(record, is_running and self._startup.result == "success")
        is_started = self._startup is None or self._startup.result == "success"
        for prober in (self._readiness, self._liveness):
            if prober is not None:
                prober.observe(record, is_started)

    def adopt(self, status: Object) -> None:
        """After a restart of the kubelet, go on from what the API says of a container that has kept running."""
        if self._startup is not None and status.get("started"):
            self._startup.adopt("success")
        if self._readiness is not None and status.get("ready"):
            self._readiness.adopt("success")

    def trigger_readiness(self) -> None:
        """A sync has found the container started and not ready."""
        if self._readiness is not None and self._readiness.result != "success":
            self._readiness.trigger()

    def wake(self) -> None:
        """The container's health may have changed."""
        for prober in self._all():
            prober.wake()

    def stop(self) -> None:
        """Stop all probing."""
        for prober in self._all():
            prober.stop()

    def stop_restarting(self) -> None:
        """The Pod is being deleted: nothing restarts its containers any more, readiness is still watched."""
        for prober in (self._startup, self._liveness):
            if prober is not None:
                prober.stop()

    def unhealthy(self, message: str) -> None:
        """Record a probe that went wrong."""
        self.worker.event("Warning", "Unhealthy", message, self.facts.field_path)

    def run(self, spec: Object, record: ContainerRecord, on_outcome: Any) -> None:
        """Carry one probe out; `on_outcome(result, output)` with result unknown when it could not be done."""
        timeout_ns = spec.get("timeoutSeconds", 1) * SECOND
        if "exec" in spec:
            self._run_exec(spec["exec"].get("command") or (), record, timeout_ns, on_outcome)
        elif "httpGet" in spec:
            self._run_http(spec["httpGet"], timeout_ns, on_outcome)
        elif "tcpSocket" in spec:
            self._run_tcp(spec["tcpSocket"], timeout_ns, on_outcome)
        elif "grpc" in spec:
            self._run_grpc(spec["grpc"], timeout_ns, on_outcome)
        else:
            on_outcome("unknown", f"missing probe handler for {self.worker.formatted()}:{self.facts.name}")

    def _run_exec(self, command: Any, record: ContainerRecord, timeout_ns: int, on_outcome: Any) -> None:
        static = {item["name"]: item.get("value", "") for item in self.facts.spec.get("env") or ()}
        words = [expand(word, static.get) for word in command]

        def on_done(result: Any) -> None:
            if isinstance(result, RuntimeFailure):
                on_outcome("failure" if result.is_timeout else "unknown", result.text)
            else:
                on_outcome("failure" if result.exit_code else "success", result.output)

        self.worker.node.runtime.execute(record, words, timeout_ns, on_done)

    def _port(self, port: int | str) -> int | None:
        if isinstance(port, int):
            return port
        for entry in self.facts.spec.get("ports") or ():
            if entry.get("name") == port:
                number: int = entry["containerPort"]
                return number
        return int(port) if port.isdigit() else None

    def _run_http(self, action: Object, timeout_ns: int, on_outcome: Any) -> None:
        port = self._port(action["port"])
        if port is None:
            on_outcome("unknown", f"couldn't find port: {action['port']} in container {self.facts.name}")
            return
        host = action.get("host") or self.worker.pod_ip
        path = action.get("path", "/")
        url = f"{action.get('scheme', 'HTTP').lower()}://{host}:{port}{path if path.startswith('/') else '/' + path}"

        def on_answer(answer: Any) -> None:
            if isinstance(answer, NetError):
                on_outcome("failure", f'Get "{url}": {_http_error(answer, host, port)}')
            elif isinstance(answer, HttpReply) and 200 <= answer.status < 400:
                on_outcome("success", "")
            elif isinstance(answer, HttpReply):
                on_outcome("failure", f"HTTP probe failed with statuscode: {answer.status}")
            else:
                # What speaks another language hangs up on a request that it does not understand.
                on_outcome("failure", f'Get "{url}": EOF')

        request = HttpRequest("GET", path, None, http_headers(action, "kube-probe/1.36"))
        self.worker.node.network.probe(host, port, request, timeout_ns, on_answer)

    def _run_tcp(self, action: Object, timeout_ns: int, on_outcome: Any) -> None:
        port = self._port(action["port"])
        if port is None:
            on_outcome("unknown", f"couldn't find port: {action['port']} in container {self.facts.name}")
            return
        host = action.get("host") or self.worker.pod_ip

        def on_answer(answer: Any) -> None:
            if isinstance(answer, NetError):
                on_outcome("failure", _dial_error(answer, host, port))
            else:
                on_outcome("success", "")

        self.worker.node.network.probe(host, port, None, timeout_ns, on_answer)

    def _run_grpc(self, action: Object, timeout_ns: int, on_outcome: Any) -> None:
        host, port = self.worker.pod_ip, action["port"]
        seconds = timeout_ns // SECOND

        def on_answer(answer: Any) -> None:
            if isinstance(answer, NetError):
                why = "context deadline exceeded"
                on_outcome("failure", f'timeout: failed to connect service "{host}:{port}" within {seconds}s: {why}')
            elif isinstance(answer, HttpReply) and answer.status == 200:
                on_outcome("success", "service healthy")
            else:
                on_outcome("failure", 'service unhealthy (responded with "NOT_SERVING")')

        request = HttpRequest("POST", "/grpc.health.v1.Health/Check", {"service": action.get("service") or ""})
        self.worker.node.network.probe(host, port, request, timeout_ns, on_answer)


def _dial_error(error: NetError, host: str, port: int) -> str:
    address = f"dial tcp {host}:{port}"
    if error.failure in {"refused", "unreachable"}:
        return f"{address}: connect: connection refused"
    if error.failure == "timeout":
        return f"{address}: i/o timeout"
    if error.failure == "unresolved":
        return f"{address}: lookup {host}: no such host"
    return f"read tcp {host}:{port}: read: connection reset by peer"


def _http_error(error: NetError, host: str, port: int) -> str:
    if error.failure == "timeout":
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if error.failure == "reset":
        return "EOF"
    return _dial_error(error, host, port)
