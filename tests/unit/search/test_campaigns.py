"""Campaigns: they find what is planted, the same wherever it is played, and go on where they were interrupted."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import msgspec
import pytest

from kubesim.cli.commands.testing import progress_text
from kubesim.controllers.replicaset import ReplicaSetController
from kubesim.controllers.statefulset import StatefulSetController
from kubesim.errors import UserError
from kubesim.faults import Disturbance
from kubesim.faults.arguments import Crash, Duration, Reference
from kubesim.node.kubelet import Kubelet
from kubesim.search import Campaign, Range, Setting, Totals, Users, chains, reduce_failure
from kubesim.search.finding import breaks
from kubesim.search.journal import FILE, Journal, Order, digest_of, read_journal
from kubesim.search.plan import CHAIN, Corpus
from kubesim.search.running import Stage
from kubesim.sim.loop import MINUTE
from kubesim.testing.schedules import find_faults, targets_of


def plan_of(setting, *faults):
    """A campaign with these faults, or all, on that very cluster."""
    targets = targets_of(chains.cluster_of(setting))
    return Range(setting, targets, find_faults(faults), seed=0, varies_cluster=False)


@pytest.fixture
def plan(setting):
    """A campaign with all faults."""
    return plan_of(setting)


def run(plan, schedules, executor=None, ahead=1, before=None):
    """All that a campaign yields."""
    return list(Campaign(plan, schedules, before).run(executor, ahead, lambda: False))


def first_failure(plan, schedules):
    """The first failure of a campaign, or None."""
    for finished in Campaign(plan, schedules).run(None, 1, lambda: False):
        if finished.failure is not None:
            return finished.failure
    return None


def test_nothing_is_found_where_nothing_is_wrong(plan):
    """Three chains of schedules break no promise of the system as it is."""
    assert first_failure(plan, 3 * CHAIN) is None


def test_what_can_only_be_judged_at_rest_is_judged():
    """A write that a user was told is stored, and that no database has."""
    stage = Stage(Setting(sources=("specs/stack.yaml",), users=Users(service="vehicle-api")))
    stage.load.ledger.acknowledge("KSGHOST", stage.cluster.now_ns)

    violation = stage.play(()).violation

    assert violation is not None
    assert violation.invariant == "writesKept"


def falls_asleep(reconcile):
    """The reconcile of a controller that does nothing any more after a minute."""

    def sleepy(self, key):
        if self._loop.now_ns < MINUTE:
            return (yield from reconcile(self, key))
        return None

    return sleepy


@pytest.mark.parametrize("controller", [ReplicaSetController, StatefulSetController])
def test_a_controller_that_falls_asleep_is_found_and_shrunk(setting, monkeypatch, controller):
    """A single fault is what is left of the schedule that showed it, and it shows it again."""
    monkeypatch.setattr(controller, "reconcile", falls_asleep(controller.reconcile))
    failure = first_failure(plan_of(setting, "crash", "delete", "evict", "hang", "losePower"), 4 * CHAIN)

    assert failure is not None
    finding = reduce_failure(failure)
    assert finding.is_alone
    assert len(finding.schedule) == 1
    assert breaks(finding.setting, finding.schedule, failure.violation.invariant)


def test_two_faults_are_found_where_it_takes_two(setting, monkeypatch):
    """A kubelet whose second start is its last one: one fault alone is recovered from."""
    starts = {}
    start = Kubelet.start

    def start_twice(self):
        starts[self] = starts.get(self, 0) + 1
        if starts[self] <= 2:
            start(self)

    monkeypatch.setattr(Kubelet, "start", start_twice)
    failure = first_failure(plan_of(setting, "stopKubelet", "losePower"), 8 * CHAIN)

    assert failure is not None
    assert len(reduce_failure(failure).schedule) == 2


def test_a_failure_is_the_same_wherever_it_is_played(setting):
    """In this process and in two others, schedule by schedule."""
    strict = msgspec.structs.replace(setting, availability=1.0)
    plan = plan_of(strict)
    alone = run(plan, 3 * CHAIN)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        together = run(plan, 3 * CHAIN, pool, 4)

    assert together == alone
    assert any(finished.failure is not None for finished in alone)


def order_of(setting, schedules):
    """What the journal begins with."""
    return Order(
        setting=setting, faults=(), seed=0, schedules=schedules, varies_cluster=False, manifests=digest_of(setting)
    )


def test_an_interrupted_campaign_goes_on_to_the_same_end(plan, tmp_path):
    """What was kept is not played again, and a line that was cut off is."""
    whole = run(plan, 3 * CHAIN)
    journal = Journal(tmp_path, order_of(plan.setting, 3 * CHAIN))
    for finished in whole[:2]:
        journal.write(finished.result)
    journal.close()
    kept = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(kept[:-20])

    order, before = read_journal(tmp_path)
    again = run(plan, order.schedules, before=before)

    assert list(before) == [0]
    assert (tmp_path / FILE).read_bytes() == b"".join(kept.splitlines(keepends=True)[:2])
    assert [finished.totals for finished in again] == [finished.totals for finished in whole]


def test_a_campaign_does_not_go_on_with_other_manifests(setting, small_stack, tmp_path):
    """Its results would be about something else."""
    Journal(tmp_path, order_of(setting, CHAIN)).close()
    before = small_stack.read_text(encoding="utf-8")
    small_stack.write_text(before + "\n", encoding="utf-8")
    try:
        with pytest.raises(UserError, match="changed since the campaign was begun"):
            read_journal(tmp_path)
    finally:
        small_stack.write_text(before, encoding="utf-8")


def test_what_reaches_something_new_is_played_again_with_a_change():
    """Half of the schedules of later generations are made from such."""
    corpus = Corpus()
    schedule = (Disturbance(fault="crash", argument=Crash(of=Reference("deployment/web")), at=Duration(0)),)

    assert corpus.note(schedule, (1, 2)) == (1, 2)
    assert corpus.note((), (2,)) == ()
    assert corpus.seeds() == (schedule,)


def test_progress_says_how_far_and_how_fast():
    """Schedules, faults, states, the worst availability and the rate."""
    totals = Totals(schedules=1240, faults=2890, states=812, worst=0.9234)

    assert progress_text(totals, 12.0) == (
        "1,240 schedules, 2,890 faults, 812 distinct states, worst availability 92.34 %  (103 schedules/s)"
    )
