"""A campaign: chains of schedules, spread over workers, until a promise is broken or the campaign's end.

Any `concurrent.futures.Executor` will do, a pool of processes or what dask.distributed's client gives. Results count in
the order of their numbers, however they come in, so that the first failure is the same one wherever it was found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import NamedTuple, final

from kubesim.checks import Violation
from kubesim.faults import Schedule
from kubesim.search.chains import Chain, ChainResult, Tally, play_chain
from kubesim.search.plan import CHAIN, GENERATION, Corpus, Range, draw_chain
from kubesim.search.running import Setting


class Failure(NamedTuple):
    """A broken promise: the schedule's number in the campaign, and the schedules of its chain up to it."""

    number: int
    setting: Setting
    rounds: tuple[Schedule, ...]
    violation: Violation


class Totals(NamedTuple):
    """What a campaign has come to so far; `worst` is the least availability of a schedule."""

    schedules: int = 0
    faults: int = 0
    no_ops: int = 0
    states: int = 0
    worst: float = 1.0

    def with_one(self, tally: Tally, fresh: int) -> Totals:
        """With one more schedule, which reached so many new states."""
        share = tally.served / tally.requests if tally.requests else 1.0
        return Totals(
            self.schedules + 1,
            self.faults + tally.faults,
            self.no_ops + tally.no_ops,
            self.states + fresh,
            min(self.worst, share),
        )


class Finished(NamedTuple):
    """A chain whose turn it was: its result with only those states that were new, what the campaign has come to with
    it, and its failure if it has one."""

    result: ChainResult
    totals: Totals
    failure: Failure | None


@final
class Campaign:
    """`schedules` is how many to play at most, in whole chains; `before` are results that are known already."""

    def __init__(self, plan: Range, schedules: int, before: dict[int, ChainResult] | None = None) -> None:
        self._plan = plan
        self._last = -(-schedules // CHAIN)
        self._before = before or {}
        self._corpus = Corpus()
        self._seeds: dict[int, tuple[Schedule, ...]] = {}
        self.totals = Totals()

    def run(self, executor: Executor | None, ahead: int, is_over: Callable[[], bool]) -> Iterator[Finished]:
        """Play chain after chain, with `ahead` of them at workers at a time; without an executor in this process.

        Ends after the last chain, and where `is_over` says so.
        """
        running: deque[tuple[Chain, Future[ChainResult] | ChainResult]] = deque()
        submitted = 0
        try:
            for number in range(self._last):
                while submitted < self._last and submitted <= number + ahead - 1 and self._may_draw(submitted, number):
                    running.append(self._submit(executor, submitted))
                    submitted += 1
                chain, future = running.popleft()
                yield self._finish(chain, future.result() if isinstance(future, Future) else future)
                if is_over():
                    return
        finally:
            for _, future in running:
                if isinstance(future, Future):
                    future.cancel()

    def _may_draw(self, wanted: int, finished: int) -> bool:
        """Whether the results that a chain's drawing depends on are all in: those of the generations but one before."""
        return (wanted // GENERATION - 1) * GENERATION <= finished

    def _submit(self, executor: Executor | None, number: int) -> tuple[Chain, Future[ChainResult] | ChainResult]:
        chain = draw_chain(self._plan, number, self._seeds.get(number // GENERATION - 2, ()))
        known = self._before.get(number)
        if known is not None:
            return chain, known
        if executor is None:
            return chain, play_chain(chain)
        return chain, executor.submit(play_chain, chain)

    def _finish(self, chain: Chain, result: ChainResult) -> Finished:
        kept: list[Tally] = []
        failure = None
        for number, (schedule, tally) in enumerate(zip(chain.rounds, result.tallies, strict=False)):
            fresh = self._corpus.note(schedule, tally.states)
            kept.append(tally._replace(states=fresh))
            self.totals = self.totals.with_one(tally, len(fresh))
            if tally.violation is not None:
                rounds = chain.rounds[: number + 1]
                failure = Failure(chain.number * CHAIN + number, chain.setting, rounds, tally.violation)
        if (chain.number + 1) % GENERATION == 0:
            self._seeds[chain.number // GENERATION] = self._corpus.seeds()
        return Finished(ChainResult(chain.number, tuple(kept)), self.totals, failure)
