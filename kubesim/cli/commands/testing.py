"""`kubesim test`: a campaign in, and out the smallest schedule that breaks a promise, if there is one."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from time import monotonic  # noqa: TID251 - how long a person waits is real time
from typing import Any, Final, NamedTuple

import msgspec

from kubesim.checks.checks import find_invariant
from kubesim.cli.commands.replaying import EXIT_BROKEN, EXIT_KEPT, tell
from kubesim.cli.durations import read_duration
from kubesim.cli.terminal import Paint, Progress
from kubesim.cluster import ClusterOptions
from kubesim.errors import UserError
from kubesim.manifests import load
from kubesim.scenario.file import is_scenario, read_scenario
from kubesim.scenario.judge import percent
from kubesim.scenario.story import plan_story
from kubesim.search import Campaign, Failure, Finding, Range, Setting, Totals, Users, reduce_failure
from kubesim.search.budgets import PROMISES
from kubesim.search.chains import ChainResult, cluster_of
from kubesim.search.exhausting import exhaust
from kubesim.search.journal import Journal, Order, digest_of, read_journal
from kubesim.search.replay_file import document_of, write_replay
from kubesim.search.replay_file import setting_of as scenario_setting_of
from kubesim.search.replaying import replay
from kubesim.testing.schedules import every_disturbance, find_faults, targets_of

_EXAMPLES: Final = 1000
_WITHOUT_END: Final = 10**9
_INTERRUPTED: Final = 130


class _Campaign(NamedTuple):
    """One that can run: what was asked for, the results that there are already, and where more are kept."""

    order: Order
    before: dict[int, ChainResult]
    journal: Journal
    folder: Path


def search(arguments: argparse.Namespace) -> int:
    """Search and report; returns the exit code.

    Raises:
        UserError: something is wrong with the input.
    """
    is_over = _until(arguments.lasts)
    if arguments.exhaustive:
        return _exhaust(arguments, is_over)
    campaign = _open(arguments)
    progress = Progress(sys.stderr, is_on=not arguments.quiet)
    order = campaign.order
    plan = Range(
        order.setting,
        targets_of(cluster_of(order.setting)),
        find_faults(order.faults),
        order.seed,
        order.varies_cluster,
    )
    try:
        with _workers(arguments.workers) as (executor, ahead):
            totals, failure = _run(plan, campaign, executor, ahead, is_over, progress)
    except KeyboardInterrupt:
        progress.clear()
        sys.stderr.write(f"interrupted; go on with: kubesim test --resume {campaign.folder}\n")
        return _INTERRUPTED
    finally:
        campaign.journal.close()
        progress.clear()
    out = sys.stdout
    if failure is None:
        out.write(f"{summary(totals)}\nEvery promise was kept (seed {order.seed}).\n")
        return EXIT_KEPT
    finding = reduce_failure(failure, progress.show)
    progress.clear()
    out.write(f"{summary(totals)}\n")
    report(finding, campaign.folder, arguments)
    return EXIT_BROKEN


def _exhaust(arguments: argparse.Namespace, is_over: Callable[[], bool]) -> int:
    """All schedules of a small scope instead of drawn ones."""
    setting = setting_of(arguments)
    kinds = find_faults(names_of(arguments.faults))
    every = every_disturbance(targets_of(cluster_of(setting)), kinds)
    progress = Progress(sys.stderr, is_on=not arguments.quiet)
    failure, text = None, ""
    try:
        with _workers(arguments.workers) as (executor, _):
            for at in exhaust(setting, every, arguments.exhaustive, executor, is_over):
                text = f"{at.played:,} schedules of up to {at.faults} faults, {at.pruned:,} more led to known states"
                progress.show(text)
                failure = at.failure
    finally:
        progress.clear()
    sys.stdout.write(f"{text}\n")
    if failure is None:
        sys.stdout.write("Every promise was kept.\n")
        return EXIT_KEPT
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    report(reduce_failure(failure, progress.show), folder, arguments)
    return EXIT_BROKEN


def report(finding: Finding, folder: Path, arguments: argparse.Namespace) -> None:
    """Tell a finding and keep its file."""
    found = replay(finding.setting, finding.schedule)
    violation = found.violation or finding.violation
    finding = finding._replace(violation=violation)
    path = folder / "failure.yaml"
    promise = _promise(violation.invariant)
    document = document_of(finding, promise, found.digest, folder)
    write_replay(path, document)
    paint = Paint(sys.stdout, is_off=arguments.no_color)
    where = f"Schedule {finding.number}" if finding.number >= 0 else "A schedule"
    lines = [
        "",
        paint(f"{where} breaks {violation.invariant}: {promise}", "red", "bold"),
        f"It had {finding.faults_before} faults; shrunk to {len(finding.schedule)}.",
    ]
    if not finding.is_alone:
        lines.append("It breaks the promise only after the schedules before it: the same seed finds it again.")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.writelines(
        f"{line}\n" for line in tell(finding.setting, finding.schedule, found, paint, arguments.quiet)
    )
    sys.stdout.write(f"\nKept as {path}; play it again with: kubesim replay {path}\n")


def _promise(name: str) -> str:
    if name == "convergence":
        return "Once everything is healed, the cluster comes to be as desired, and to rest."
    if name in PROMISES:
        return PROMISES[name]
    return find_invariant(name).promise


def summary(totals: Totals) -> str:
    """What a campaign has come to, without its time: `1,000 schedules, 2,410 faults, 812 distinct states, …`."""
    return (
        f"{totals.schedules:,} schedules, {totals.faults:,} faults, {totals.states:,} distinct states, "
        f"worst availability {percent(totals.worst)}"
    )


def progress_text(totals: Totals, seconds: float) -> str:
    """The line that is shown while a campaign runs."""
    rate = totals.schedules / seconds if seconds else 0.0
    return f"{summary(totals)}  ({rate:.0f} schedules/s)"


def _run(
    plan: Range,
    campaign: _Campaign,
    executor: Executor | None,
    ahead: int,
    is_over: Callable[[], bool],
    progress: Progress,
) -> tuple[Totals, Failure | None]:
    start = monotonic()
    running = Campaign(plan, campaign.order.schedules, campaign.before)
    for finished in running.run(executor, ahead, is_over):
        if finished.result.number not in campaign.before:
            campaign.journal.write(finished.result)
        progress.show(progress_text(finished.totals, monotonic() - start))
        if finished.failure is not None:
            return finished.totals, finished.failure
    return running.totals, None


def _open(arguments: argparse.Namespace) -> _Campaign:
    """A new campaign, or the one to go on with."""
    if arguments.resume:
        if arguments.spec:
            raise UserError("--resume: it goes on with what was asked for; leave the manifests out")
        folder = Path(arguments.resume)
        order, before = read_journal(folder)
        return _Campaign(order, before, Journal(folder, None), folder)
    setting = setting_of(arguments)
    faults = names_of(arguments.faults)
    find_faults(faults)
    order = Order(
        setting=setting,
        faults=faults,
        seed=arguments.seed,
        schedules=arguments.examples or (_WITHOUT_END if arguments.lasts else _EXAMPLES),
        varies_cluster=arguments.nodes is None and not is_scenario(arguments.spec[0]),
        manifests=digest_of(setting),
    )
    folder = Path(arguments.folder)
    return _Campaign(order, {}, Journal(folder, order), folder)


def setting_of(arguments: argparse.Namespace) -> Setting:
    """What every run has in common, from the words.

    Raises:
        UserError: something is wrong with them or with the manifests.
    """
    if not arguments.spec:
        raise UserError("there is nothing to test; name a manifest, such as: kubesim test specs/stack.yaml")
    if "-" in arguments.spec:
        raise UserError("-: a test reads its manifests more than once; name a file")
    invariants = names_of(arguments.invariants)
    for name in invariants:
        find_invariant(name)
    budgets: dict[str, Any] = {"availability": arguments.availability} if arguments.availability else {}
    if arguments.recovery:
        budgets["recovery_ns"] = int(read_duration("--recovery", arguments.recovery))
    if is_scenario(arguments.spec[0]):
        return _setting_of_scenario(arguments, budgets | ({"invariants": invariants} if invariants else {}))
    changes: dict[str, Any] = {"records": False}
    changes |= {"nodes": arguments.nodes} if arguments.nodes is not None else {}
    options = ClusterOptions().with_changes(changes)
    story = plan_story([manifest.object for manifest in load(*arguments.spec)], options.nodes)
    wanted = story.scenario.load
    users = Users(service=wanted.service, namespace=wanted.namespace) if wanted is not None else None
    return Setting(
        sources=tuple(arguments.spec),
        options=options,
        users=users,
        invariants=invariants,
        **budgets,
    )


def _setting_of_scenario(arguments: argparse.Namespace, changes: dict[str, Any]) -> Setting:
    """The stack, the users and the budgets of a scenario file; what is said beside it counts more."""
    if len(arguments.spec) > 1:
        raise UserError(f"{arguments.spec[1]}: a scenario names its manifests itself; leave it out")
    setting = scenario_setting_of(read_scenario(arguments.spec[0]))
    if arguments.nodes is not None:
        changes = {**changes, "options": setting.options.with_changes({"nodes": arguments.nodes})}
    return msgspec.structs.replace(setting, **changes)


def names_of(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _until(text: str | None) -> Callable[[], bool]:
    if text is None:
        return lambda: False
    end = monotonic() + read_duration("--for", text) / 1e9
    return lambda: monotonic() >= end


@contextlib.contextmanager
def _workers(count: int | None) -> Iterator[tuple[Executor | None, int]]:
    """A pool of that many processes and how many chains it should have at a time; none for a single worker."""
    import os

    count = count or os.cpu_count() or 1
    if count == 1:
        yield None, 1
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin_work)
    try:
        yield pool, 2 * count
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_work() -> None:
    """In a worker: an interruption is the campaign's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
