"""Users who send real HTTP requests to a Service's address at a rate, whether or not earlier ones have been answered.

They count as the simulated users do, by the same report and ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, final

from kubesim.network.messages import Answer, HttpReply, HttpRequest, NetError
from kubesim.processes.network import ask, call_http
from kubesim.sim.loop import MILLISECOND, SECOND
from kubesim.users.ledger import Audit, Ledger
from kubesim.users.report import FAILED, REFUSED, SERVED, SLOW, Counts, Report

_PATH: Final = "/api/vehicles"
_TIMEOUT_NS: Final = 2 * SECOND
_SLOW_NS: Final = 500 * MILLISECOND
_TABLE: Final = "vehicles"
_COLUMN: Final = "vin"
_CREATED: Final = 201


def path_for(write_percent: int) -> str:
    """What users ask for: vehicles where they also write some, else whatever is there."""
    return _PATH if write_percent else "/"


# Sends one request to the Service; the answer, or why there is none.
AskService = Callable[[HttpRequest], Awaitable[Answer]]


class WallClock(Protocol):
    """Real time on the scale of a run, and the loop in which what is due in it happens."""

    aio: asyncio.AbstractEventLoop

    def wall_ns(self) -> int:
        """The present instant."""
        ...


def ask_at(find_address: Callable[[], tuple[str, int] | None], timeout_ns: int = _TIMEOUT_NS) -> AskService:
    """Requests to an address, looked up anew for each, on connections of their own."""

    async def ask_service(message: HttpRequest) -> Answer:
        place = find_address()
        if place is None:
            return NetError("unresolved", "the Service has no address")
        return await ask(lambda: call_http(*place, message), timeout_ns, f"{place[0]}:{place[1]}")

    return ask_service


@final
class RealUsers:
    """Users at work. Satisfies `scenario.port.Users`; `rows` are a table's rows now, by a column's values."""

    def __init__(
        self,
        clock: WallClock,
        ask_service: AskService,
        rows: Callable[[str, str], Mapping[str, Any]],
        rate_per_second: float,
        write_percent: int,
        path: str = _PATH,
    ) -> None:
        self.report = Report()
        self.ledger = Ledger(_TABLE, _COLUMN)
        self._clock = clock
        self._ask_service = ask_service
        self._rows = rows
        self._gap_ns = round(SECOND / rate_per_second)
        self._write_percent = write_percent
        self._path = path
        self._writes = 0
        self._due_ns = 0
        self._is_stopped = True
        self._tasks: dict[asyncio.Task[None], None] = {}
        # Vehicles of different runs on one volume must differ.
        self._series = f"KS{clock.wall_ns() // MILLISECOND % 1_000_000:06d}"

    def start(self) -> None:
        """Send the first request now and go on."""
        self._is_stopped = False
        self._due_ns = self._clock.wall_ns()
        self._clock.aio.call_soon(self._tick)

    def _tick(self) -> None:
        if self._is_stopped:
            return
        now_ns = self._clock.wall_ns()
        while self._due_ns <= now_ns:
            task = self._clock.aio.create_task(self._send())
            self._tasks[task] = None
            task.add_done_callback(self._tasks.pop)
            self._due_ns += self._gap_ns
        self._clock.aio.call_later((self._due_ns - now_ns) / SECOND, self._tick)

    async def _send(self) -> None:
        sent_ns = self._clock.wall_ns()
        report = self.report
        number = report.send(sent_ns)
        percent = self._write_percent
        vin, message = "", HttpRequest("GET", self._path)
        if (number + 1) * percent // 100 > number * percent // 100:
            vin = f"{self._series}{self._writes:09d}"
            self._writes += 1
            message = HttpRequest("POST", self._path, {"vin": vin, "make": "kubesim", "model": "user", "year": 2026})
        self._judge(number, vin, sent_ns, await self._ask_service(message))

    def _judge(self, number: int, vin: str, sent_ns: int, answer: Any) -> None:
        now_ns = self._clock.wall_ns()
        if type(answer) is HttpReply and answer.status < 400:
            outcome = SLOW if now_ns - sent_ns > _SLOW_NS else SERVED
            if vin and answer.status == _CREATED:
                self.ledger.acknowledge(vin, now_ns)
        else:
            outcome = FAILED
            reason = str(answer.status) if type(answer) is HttpReply else answer.failure
            if reason in ("refused", "unresolved"):
                outcome = REFUSED
            self.report.explain(number, reason)
            if vin and outcome == FAILED:
                self.ledger.doubt(vin, now_ns)
        self.report.finish(number, now_ns, outcome)

    @property
    def is_waiting(self) -> bool:
        """Whether a request is without an answer."""
        return bool(self._tasks)

    async def finish(self, within_s: float) -> None:
        """Wait, at most so long, until no request is without an answer."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)

    def slowest_ns(self) -> int:
        """How long the slowest answer took, of any outcome."""
        return self.report.slowest_ns()

    def count(self, from_ns: int, to_ns: int) -> Counts:
        return self.report.count(from_ns, to_ns)

    def reasons(self) -> dict[str, int]:
        return dict(sorted(self.report.reasons.items()))

    def recovery_ns(self, fault_ns: int, until_ns: int) -> int | None:
        return self.report.recovery_ns(fault_ns, until_ns)

    def longest_outage_ns(self, from_ns: int, to_ns: int) -> int:
        return self.report.longest_outage(from_ns, to_ns)[1]

    def first_unserved(self, from_ns: int, to_ns: int) -> tuple[int, str] | None:
        return self.report.first_unserved(from_ns, to_ns)

    def duration_ns(self, share: float) -> int | None:
        return self.report.duration_ns(share)

    def audit(self) -> Audit:
        return self.ledger.compare(self._rows(self.ledger.table, self.ledger.column))

    def stop(self) -> None:
        self._is_stopped = True
