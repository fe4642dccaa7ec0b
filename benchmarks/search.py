"""Schedules a second: the vehicle stack, three nodes, ten virtual minutes each, with faults, users and all invariants.

The schedules are those that `kubesim test specs/stack.yaml --nodes 3` plays: one to eight faults drawn from the whole
catalogue, users who ask once a second while something is going on, recovery awaited at the end. What is timed is the
campaign, from the first chain to the last, once workers have started and have a settled cluster. Then schedules of
twenty faults that leave users unserved for 20 s are shrunk to what does so.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any, Final

import msgspec

from kubesim.cluster import ClusterOptions
from kubesim.search import Campaign, Failure, Range, Setting, Totals, Users, reduce_failure
from kubesim.search.chains import cluster_of, play_chain
from kubesim.search.finding import play_once
from kubesim.search.plan import CHAIN, draw_chain
from kubesim.sim.chooser import SeededStream
from kubesim.sim.loop import SECOND
from kubesim.testing.schedules import SPAN_NS, draw_disturbance, find_faults, targets_of

_OUTAGE_NS: Final = 20 * SECOND
_FAULTS: Final = 20
_SHRUNK: Final = 12


def _play(plan: Range, schedules: int, executor: Executor | None, workers: int) -> tuple[Totals, float]:
    start = time.perf_counter()
    campaign = Campaign(plan, schedules)
    for finished in campaign.run(executor, 2 * workers if executor is not None else 1, lambda: False):
        if finished.failure is not None:
            raise SystemExit(f"a promise is broken by schedule {finished.failure.number}: {finished.failure.violation}")
    return campaign.totals, time.perf_counter() - start


def _shrink(plan: Range) -> dict[str, Any]:
    """The slowest of some schedules to shrink, and what is left of the one that keeps most."""
    setting = msgspec.structs.replace(plan.setting, recovery_ns=_OUTAGE_NS)
    seconds: list[float] = []
    left: list[int] = []
    seed = 0
    while len(left) < _SHRUNK:
        stream = SeededStream(f"shrink/{seed}")
        seed += 1
        drawn = [draw_disturbance(stream, plan.targets, plan.kinds, SPAN_NS, None) for _ in range(_FAULTS)]
        schedule = tuple(each for each in drawn if each is not None)
        violation = play_once(setting, schedule).violation
        if violation is not None:
            start = time.perf_counter()
            found = reduce_failure(Failure(seed, setting, (schedule,), violation))
            seconds.append(time.perf_counter() - start)
            left.append(len(found.schedule))
    return {"shrunk_from_faults": _FAULTS, "to_at_most": max(left), "slowest_shrink_s": round(max(seconds), 2)}


def measure(schedules: int, workers: int) -> dict[str, Any]:
    """Schedules a second by one process, and by so many workers; how long it takes to shrink one."""
    setting = Setting(
        sources=("specs/stack.yaml",),
        options=ClusterOptions(nodes=3, records=False),
        users=Users(service="vehicle-api"),
    )
    plan = Range(setting, targets_of(cluster_of(setting)), find_faults(), seed=0, varies_cluster=False)
    _play(plan, CHAIN, None, 1)
    totals, alone = _play(plan, schedules, None, 1)
    result: dict[str, Any] = {
        "schedules": totals.schedules,
        "faults_per_schedule": round(totals.faults / totals.schedules, 2),
        "distinct_states": totals.states,
        "schedules_per_second": round(totals.schedules / alone, 1),
    }
    if workers > 1:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            warm = draw_chain(plan, 0, ())
            list(pool.map(play_chain, [warm] * 2 * workers))
            totals, together = _play(plan, schedules, pool, workers)
        result |= {
            "workers": workers,
            "with_workers_per_second": round(totals.schedules / together, 1),
            "speed_up": round(alone / together, 2),
        }
    return result | _shrink(plan)
