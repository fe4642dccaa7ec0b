"""Open-loop load on a Service: requests go out at a rate, whether or not earlier ones have been answered.

The users sit outside the cluster, on a host named `users` that no node's fault touches. That host reaches a Service
as a node does, through a proxy view of its own with its own lag, like an ingress or a load balancer that follows the
EndpointSlices. Each request is one connection, one call and at most one answer; nobody tries again, unless `retries` of
the load says so: then a request that is not served is repeated at once, as one more request, up to so many times.
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple, final

from kubesim.errors import UserError
from kubesim.network.dns import TTL_NS
from kubesim.network.fabric import Fabric
from kubesim.network.messages import HttpReply, HttpRequest, NetError
from kubesim.sim.chooser import Stream
from kubesim.sim.loop import MILLISECOND, SECOND, Loop
from kubesim.users.ledger import Ledger
from kubesim.users.report import FAILED, REFUSED, SERVED, SLOW, Report

USERS_NODE = "users"
# Upstream of nothing: an address of the block for documentation, RFC 5737.
USERS_IP = "203.0.113.1"
_PATH = "/api/vehicles"
_TABLE, _COLUMN = "vehicles", "vin"
_GET = HttpRequest("GET", _PATH)
_CREATED = 201
_CONFLICT = 409
# Why a request failed that reached a server of another protocol.
_NO_HTTP = "malformed"
_NEVER_CONNECTED = ("refused", "unreachable", "unresolved")


class Plan(NamedTuple):
    """What users do. `write_percent` of the requests, evenly spread, are POSTs of a new vehicle, the others GETs.

    `is_random` draws exponential gaps instead of equal ones. A request without an answer after `timeout_ns` has
    failed; one that took longer than `slow_ns` was slow. Where `ports` are given, requests take them in turn, as from
    users who each know one of them.
    """

    host: str
    port: int = 80
    rate_per_second: float = 50
    write_percent: int = 20
    is_random: bool = False
    timeout_ns: int = 2 * SECOND
    slow_ns: int = 500 * MILLISECOND
    ports: tuple[int, ...] = ()


@final
class Load:
    """One group of users at work. `report` counts, `ledger` knows the acknowledged writes."""

    def __init__(self, loop: Loop, fabric: Fabric, stream: Stream, plan: Plan, number: int = 0) -> None:
        """`number` tells several loads of one run apart: their vehicles differ by it.

        Raises:
            UserError: the plan's rate or share is out of range.
        """
        if not 0 < plan.rate_per_second <= 1_000_000:
            raise UserError(f"load: the rate must be above 0 and at most 1000000 a second, not {plan.rate_per_second}")
        if not 0 <= plan.write_percent <= 100:
            raise UserError(f"load: write_percent must be from 0 to 100, not {plan.write_percent}")
        self.report = Report()
        self.ledger = Ledger(_TABLE, _COLUMN)
        self.plan = plan
        self.windows: dict[str, tuple[int, int]] = {}
        self.retries = 0
        self.loop = loop
        self._stream = stream
        self._sockets = fabric.open(fabric.attach(USERS_IP, USERS_NODE), "default")
        self._names = fabric.names
        self._gap_ns = round(SECOND / plan.rate_per_second)
        self._number = number
        self._run = 0
        self._writes = 0
        self._ip = ""
        self._resolved_ns = -TTL_NS

    def start(self) -> None:
        """Send the first request now and go on; safe to call again after `stop`."""
        self._run += 1
        self.loop.post(0, self._tick, self._run)

    def stop(self) -> None:
        """Send no more; answers to what was sent are still counted."""
        self._run += 1

    def open_window(self, name: str) -> None:
        """Begin a named span of time, such as that of a fault; a window of that name before is replaced."""
        self.windows[name] = (self.loop.now_ns, -1)

    def close_window(self, name: str) -> None:
        """End a named span of time."""
        self.windows[name] = (self.windows[name][0], self.loop.now_ns)

    def _tick(self, run: int) -> None:
        if run != self._run:
            return
        gap_ns = self._gap_ns
        if self.plan.is_random:
            gap_ns = round(-log(1.0 - self._stream.fraction()) * gap_ns)
        self.loop.post(gap_ns, self._tick, run)
        self._send()

    def _send(self) -> None:
        number = len(self.report)
        percent = self.plan.write_percent
        if (number + 1) * percent // 100 > number * percent // 100:
            vin = f"KS{self._number:03d}{self._writes:012d}"
            self._writes += 1
            message = HttpRequest("POST", _PATH, {"vin": vin, "make": "kubesim", "model": "user", "year": 2026})
        else:
            vin = ""
            message = _GET
        self._request(message, vin, 0)

    def _request(self, message: HttpRequest, vin: str, tries: int) -> None:
        """Send it, for the first time or after so many others that were not served."""
        now_ns = self.loop.now_ns
        number = self.report.send(now_ns)
        request = _Sent(self, number, vin, message, tries)
        if now_ns - self._resolved_ns >= TTL_NS or not self._ip:
            addresses = self._names.resolve("default", self.plan.host).addresses
            self._ip = addresses[0] if addresses else ""
            self._resolved_ns = now_ns
            if not addresses:
                request.on_answer(NetError("unresolved", f"no such host: {self.plan.host}"))
                return
        ports = self.plan.ports
        port = ports[number % len(ports)] if ports else self.plan.port
        self._sockets.request(self._ip, port, message, self.plan.timeout_ns, request.on_answer)

    def repeat(self, request: _Sent) -> None:
        """It was not served, and its user does not wait."""
        self._request(request.message, request.vin, request.tries + 1)


@final
class _Sent:
    """One request under way. `vin` is empty for a read."""

    __slots__ = ("load", "message", "number", "sent_ns", "tries", "vin")

    def __init__(self, load: Load, number: int, vin: str, message: HttpRequest, tries: int) -> None:
        self.load = load
        self.number = number
        self.vin = vin
        self.message = message
        self.tries = tries
        self.sent_ns = load.loop.now_ns

    def on_answer(self, answer: Any) -> None:
        load = self.load
        now_ns = load.loop.now_ns
        if type(answer) is HttpReply and answer.status < 400:
            outcome = SLOW if now_ns - self.sent_ns > load.plan.slow_ns else SERVED
            if self.vin and answer.status == _CREATED:
                load.ledger.acknowledge(self.vin, now_ns)
        elif type(answer) is HttpReply and answer.status == _CONFLICT and self.tries:
            # The vehicle is there, by an earlier try of which nothing was heard.
            outcome = SERVED
        else:
            outcome = FAILED
            if type(answer) is NetError:
                reason: str = answer.failure
                if reason in _NEVER_CONNECTED:
                    outcome = REFUSED
            else:
                reason = str(answer.status) if type(answer) is HttpReply else _NO_HTTP
            load.report.explain(self.number, reason)
            if self.vin and outcome == FAILED:
                load.ledger.doubt(self.vin, now_ns)
        load.report.finish(self.number, now_ns, outcome)
        if outcome in (FAILED, REFUSED) and self.tries < load.retries:
            load.loop.post(0, load.repeat, self)
