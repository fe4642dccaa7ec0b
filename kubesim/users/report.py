"""How requests went, kept as two arrays by request number and counted only when somebody asks."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple, final

# The outcome of one request. SLOW is a success that took longer than the threshold. REFUSED never reached a process
# (no address, no endpoint, nobody listens). FAILED did, or might have: reset, no answer in time, an error status.
PENDING, SERVED, SLOW, REFUSED, FAILED = range(5)


class Counts(NamedTuple):
    """Requests by outcome. `served` includes the `slow` ones; `pending` have no outcome yet."""

    served: int
    slow: int
    refused: int
    failed: int
    pending: int

    @property
    def total(self) -> int:
        """All requests that have an outcome."""
        return self.served + self.refused + self.failed

    @property
    def availability(self) -> float:
        """The share of requests that were served, 0 to 1; 1 where there were none."""
        return self.served / self.total if self.total else 1.0


@final
class Report:
    """The outcomes of one load, by the instant at which each request was sent."""

    __slots__ = ("_durations_ns", "_outcomes", "_sent_ns", "reasons")

    def __init__(self) -> None:
        self._sent_ns = array("q")
        self._durations_ns = array("q")
        self._outcomes = bytearray()
        # Why requests were refused or failed: a NetError's failure or an HTTP status, and how often.
        self.reasons: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._sent_ns)

    def send(self, at_ns: int) -> int:
        """A request is sent; returns its number."""
        self._sent_ns.append(at_ns)
        self._durations_ns.append(-1)
        self._outcomes.append(PENDING)
        return len(self._outcomes) - 1

    def finish(self, number: int, at_ns: int, outcome: int) -> None:
        """The request has ended, for its user."""
        self._durations_ns[number] = at_ns - self._sent_ns[number]
        self._outcomes[number] = outcome

    def count(self, from_ns: int, to_ns: int) -> Counts:
        """The requests sent from one instant until before another."""
        return self._count(bisect_left(self._sent_ns, from_ns), bisect_left(self._sent_ns, to_ns))

    def overall(self) -> Counts:
        """All requests."""
        return self._count(0, len(self._outcomes))

    def _count(self, start: int, end: int) -> Counts:
        counts = [self._outcomes.count(outcome, start, end) for outcome in range(5)]
        return Counts(counts[SERVED] + counts[SLOW], counts[SLOW], counts[REFUSED], counts[FAILED], counts[PENDING])

    def buckets(self, width_ns: int) -> Iterator[tuple[int, Counts]]:
        """The counts of equal spans of time, each with its start, from the first request to the last."""
        if not self._sent_ns:
            return
        start_ns = self._sent_ns[0] // width_ns * width_ns
        while start_ns <= self._sent_ns[-1]:
            yield start_ns, self.count(start_ns, start_ns + width_ns)
            start_ns += width_ns

    def recovery_ns(self, fault_ns: int, until_ns: int) -> int | None:
        """How long after a fault users were served again for good, in ns.

        Of the requests sent from `fault_ns` until before `until_ns`: from `fault_ns` to the sending of the first one
        after the last that was not served. 0 when all were served; None when the last one was not. Requests without
        an outcome are left out.
        """
        start = bisect_left(self._sent_ns, fault_ns)
        end = bisect_left(self._sent_ns, until_ns)
        outcomes = self._outcomes
        last_bad = max(outcomes.rfind(REFUSED, start, end), outcomes.rfind(FAILED, start, end))
        if last_bad < 0:
            return 0
        for number in range(last_bad + 1, end):
            if outcomes[number] in (SERVED, SLOW):
                return self._sent_ns[number] - fault_ns
        return None

    def outage_ns(self, fault_ns: int, until_ns: int) -> int | None:
        """Like `recovery_ns`, counted from the first request that was not served instead of from the fault."""
        recovery_ns = self.recovery_ns(fault_ns, until_ns)
        if not recovery_ns:
            return recovery_ns
        start = bisect_left(self._sent_ns, fault_ns)
        bad = (number for number in range(start, len(self)) if self._outcomes[number] in (REFUSED, FAILED))
        return recovery_ns - (self._sent_ns[next(bad)] - fault_ns)

    def duration_ns(self, share: float) -> int | None:
        """The duration that this share of the served requests did not exceed, e.g. 0.99; None when none was served."""
        served = sorted(
            duration_ns
            for duration_ns, outcome in zip(self._durations_ns, self._outcomes, strict=True)
            if outcome in (SERVED, SLOW)
        )
        return served[min(int(share * len(served)), len(served) - 1)] if served else None
