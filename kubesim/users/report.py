"""How requests went, kept as two arrays by request number and counted only when somebody asks."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple, final

from kubesim.sim.loop import SECOND

# The outcome of one request. SLOW is a success that took longer than the threshold. REFUSED never reached a process
# (no address, no endpoint, nobody listens). FAILED did, or might have: reset, no answer in time, an error status.
PENDING, SERVED, SLOW, REFUSED, FAILED = range(5)

# For how long all requests must have been served before users count as served again.
STEADY_NS = 2 * SECOND


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
        return self.served + self.unserved

    @property
    def unserved(self) -> int:
        """Those that were not served."""
        return self.refused + self.failed

    @property
    def availability(self) -> float:
        """The share of requests that were served, 0 to 1; 1 where there were none."""
        return self.served / self.total if self.total else 1.0


@final
class Report:
    """The outcomes of one load, by the instant at which each request was sent."""

    __slots__ = ("_durations_ns", "_outcomes", "_reason_of", "_sent_ns", "reasons")

    def __init__(self) -> None:
        self._sent_ns = array("q")
        self._durations_ns = array("q")
        self._outcomes = bytearray()
        # Why requests were refused or failed: a NetError's failure or an HTTP status, and how often.
        self.reasons: dict[str, int] = {}
        self._reason_of: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._sent_ns)

    @property
    def first_sent_ns(self) -> int:
        """When the first request was sent; 0 where none was."""
        return self._sent_ns[0] if self._sent_ns else 0

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
        after the last that was not served. 0 when all were served. None when those after it span less than
        `STEADY_NS`: where only some endpoints fail, a few successes in a row mean nothing. Requests from the first
        one without an outcome on are left out, for they might still fail.
        """
        span = self._outage(fault_ns, until_ns)
        if span is None:
            return 0
        recovered_ns = span[1]
        return None if recovered_ns is None else recovered_ns - fault_ns

    def explain(self, number: int, reason: str) -> None:
        """Why a request was refused or failed."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self._reason_of[number] = reason

    def first_unserved(self, from_ns: int, to_ns: int) -> tuple[int, str] | None:
        """The first request that was not served, of those sent from one instant until before another: when it was sent
        and why it was not served."""
        start, end = bisect_left(self._sent_ns, from_ns), bisect_left(self._sent_ns, to_ns)
        found = [self._outcomes.find(outcome, start, end) for outcome in (REFUSED, FAILED)]
        numbers = [number for number in found if number >= 0]
        return (self._sent_ns[min(numbers)], self._reason_of.get(min(numbers), "")) if numbers else None

    @property
    def has_pending(self) -> bool:
        """Whether a request is without an outcome."""
        return PENDING in self._outcomes

    def outage_ns(self, fault_ns: int, until_ns: int) -> int | None:
        """Like `recovery_ns`, counted from the first request that was not served instead of from the fault."""
        span = self._outage(fault_ns, until_ns)
        if span is None:
            return 0
        first_bad_ns, recovered_ns = span
        return None if recovered_ns is None else recovered_ns - first_bad_ns

    def _outage(self, fault_ns: int, until_ns: int) -> tuple[int, int | None] | None:
        """When the first request was sent that was not served, and when the first of those that all were again."""
        outcomes, sent_ns = self._outcomes, self._sent_ns
        start = bisect_left(sent_ns, fault_ns)
        end = bisect_left(sent_ns, until_ns)
        undecided = outcomes.find(PENDING, start, end)
        if undecided >= 0:
            end = undecided
        last_bad = max(outcomes.rfind(REFUSED, start, end), outcomes.rfind(FAILED, start, end))
        if last_bad < 0:
            return None
        first_bad = min(found for bad in (REFUSED, FAILED) if (found := outcomes.find(bad, start, end)) >= 0)
        good = last_bad + 1
        if good == end or sent_ns[end - 1] - sent_ns[good] < STEADY_NS:
            return sent_ns[first_bad], None
        return sent_ns[first_bad], sent_ns[good]

    def longest_outage(self, from_ns: int, to_ns: int) -> tuple[int, int]:
        """When the longest outage of those that began in this time began, and how long it was, 0 where there was none.

        An outage is from the sending of a request that was not served to that of the next one from which on all were
        for `STEADY_NS`; one without such an end lasts until `to_ns`.
        """
        began_ns = good_ns = -1
        longest = (from_ns, 0)
        for number in range(bisect_left(self._sent_ns, from_ns), bisect_left(self._sent_ns, to_ns)):
            at_ns, outcome = self._sent_ns[number], self._outcomes[number]
            if outcome in (REFUSED, FAILED):
                began_ns = at_ns if began_ns < 0 else began_ns
                good_ns = -1
            elif outcome in (SERVED, SLOW) and began_ns >= 0:
                good_ns = at_ns if good_ns < 0 else good_ns
                if at_ns - good_ns >= STEADY_NS:
                    longest = max(longest, (began_ns, good_ns - began_ns), key=_length)
                    began_ns = good_ns = -1
        if began_ns >= 0:
            end_ns = to_ns if good_ns < 0 else good_ns
            longest = max(longest, (began_ns, end_ns - began_ns), key=_length)
        return longest

    def slowest_ns(self) -> int:
        """How long the slowest answer or failure took, 0 when there was none."""
        return max(self._durations_ns, default=0)

    def duration_ns(self, share: float) -> int | None:
        """The duration that this share of the served requests did not exceed, e.g. 0.99; None when none was served."""
        served = sorted(
            duration_ns
            for duration_ns, outcome in zip(self._durations_ns, self._outcomes, strict=True)
            if outcome in (SERVED, SLOW)
        )
        return served[min(int(share * len(served)), len(served) - 1)] if served else None


def _length(outage: tuple[int, int]) -> int:
    return outage[1]
