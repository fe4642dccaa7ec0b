"""A comparison from its inputs: Kubernetes first, then Compose with the same users and actions, then row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from kubesim.cluster import ClusterOptions
from kubesim.comparison.compose import Act, ComposeRun, front_of, run_compose
from kubesim.comparison.kubernetes import KubernetesRun, run_kubernetes
from kubesim.comparison.outcome import Comparison, Deed, Row, Side, Total
from kubesim.compose.model import Project
from kubesim.errors import UserError
from kubesim.faults.catalogue import FAULTS
from kubesim.faults.targets import split_reference
from kubesim.manifests import Manifest
from kubesim.scenario.model import Heal, Scenario, Step, Users
from kubesim.sim.loop import SECOND
from kubesim.users.load import Load

_BUCKETS_MAX: Final = 400
_BUCKET_MIN_NS: Final = 2 * SECOND
# Steps that end what an earlier one began share its row.
_ENDINGS: Final = (
    *("restorePower", "rejoin", "wake", "uncordon", "startKubelet", "heal"),
    *("undoRollout", "resumeRollout"),
)
# What a person does in a cluster to mend something.
_KUBECTL: Final = {
    "undoRollout": "rollout undo",
    "uncordon": "uncordon",
    "resumeRollout": "rollout resume",
}


class Given(NamedTuple):
    """All that a comparison is made from."""

    manifests: list[Manifest]
    project: Project
    scenario: Scenario
    options: ClusterOptions
    resolve: Callable[[str], Path]
    operator_after_ns: int
    notes: tuple[str, ...]


def compare(given: Given) -> Comparison:
    """Run both sides.

    Raises:
        UserError: one of them does not come up, or there are no users to compare by.
    """
    users = given.scenario.load
    if users is None:
        raise UserError(
            "no Service of the manifests leads to Pods that answer HTTP requests; users are what is compared"
        )
    if not given.scenario.steps:
        raise UserError("the scenario has no steps; faults are what is compared")
    front_of(given.project, users.service)
    first = run_kubernetes(given.manifests, given.scenario, given.options, given.resolve)
    if first.load is None or first.outcome.stopped:
        raise UserError(f"{first.outcome.stopped or 'no users came'}; see it with: kubesim run")
    acts = _acts(given.scenario.steps, first)
    options = given.options
    second = run_compose(given.project, users, acts, given.operator_after_ns, options.seed, options.programs)
    return _compared(given, users, acts, first, second)


def _acts(steps: Sequence[Step], first: KubernetesRun) -> list[Act]:
    """The scenario's steps at the instants at which Kubernetes' half has had them; 0 for one before users came."""
    outcomes = first.outcome.steps[len(first.outcome.steps) - len(steps) :]
    starts = [max(0, each.start_ns - first.since_ns) for each in outcomes]
    ends = [*starts[1:], max(0, first.outcome.end_ns - first.since_ns)]
    return [Act(*_fault_of(step), start, end) for step, start, end in zip(steps, starts, ends, strict=True)]


def _fault_of(step: Step) -> tuple[str, Any]:
    """A step's action and its argument; `heal: NAME` is the fault's twin, where it has one."""
    argument = step.argument
    if not isinstance(argument, Heal):
        return step.action, argument
    kind = FAULTS.get(argument.fault)
    return (kind.healed_by or "heal" if kind is not None else "heal"), None


def _compared(given: Given, users: Users, acts: Sequence[Act], first: KubernetesRun, second: ComposeRun) -> Comparison:
    load = first.load
    if load is None:
        raise UserError("no users came; see it with: kubesim run")
    end_ns = acts[-1].end_ns
    rows = []
    lost = first.lost[len(first.lost) - len(acts) - 1 :]
    outcomes = first.outcome.steps[len(first.outcome.steps) - len(acts) :]
    for start, stop in _groups(acts):
        own = outcomes[start:stop]
        subject = next((each.subject for each in own if each.subject), "")
        by_hand = tuple(
            Deed(text=_kubectl(act.name, each.subject), after_ns=act.start_ns - acts[start].start_ns)
            for act, each in zip(acts[start:stop], own, strict=True)
            if act.name in _KUBECTL
        )
        span = (acts[start].start_ns, acts[stop - 1].end_ns)
        left = _side(load, first.since_ns, span, lost[stop] - lost[start], by_hand, subject, "")
        rows.append(
            Row(
                title=outcomes[start].title,
                start_ns=span[0],
                end_ns=span[1],
                kubernetes=left,
                compose=_compose_side(acts, second, start, stop),
            )
        )
    bucket_ns = max(_BUCKET_MIN_NS, -(-end_ns // _BUCKETS_MAX // SECOND) * SECOND)
    return Comparison(
        name=given.scenario.name,
        seed=given.options.seed,
        nodes=given.options.nodes,
        rate_per_second=users.rate_per_second,
        write_percent=users.write_percent,
        operator_after_ns=given.operator_after_ns,
        end_ns=end_ns,
        bucket_ns=bucket_ns,
        rows=tuple(rows),
        kubernetes=_total(load, first.since_ns, end_ns, bucket_ns, first.kept, first.lost[-1]),
        compose=_total(second.load, second.since_ns, end_ns, bucket_ns, second.kept, second.lost[-1]),
        notes=given.notes,
    )


def _kubectl(name: str, subject: str) -> str:
    """The command that a person types for an action; the subject is KIND/NAME or NAMESPACE/KIND/NAME."""
    own, namespace = split_reference(subject, "")
    return f"kubectl {f'-n {namespace} ' if namespace else ''}{_KUBECTL[name]} {own}"


def _groups(acts: Sequence[Act]) -> list[tuple[int, int]]:
    """The rows as spans of actions: an action, and what ends it right behind; steps without an action make none."""
    groups: list[tuple[int, int]] = []
    for index, act in enumerate(acts):
        if groups and act.name in _ENDINGS and groups[-1][1] == index:
            groups[-1] = (groups[-1][0], index + 1)
        elif act.name:
            groups.append((index, index + 1))
    return groups


def _compose_side(acts: Sequence[Act], run: ComposeRun, start: int, stop: int) -> Side:
    own = run.acts[start:stop]
    begin_ns = acts[start].start_ns
    deeds = [
        Deed(text=deed.text, after_ns=act.start_ns + deed.after_ns - begin_ns)
        for act, each in zip(acts[start:stop], own, strict=True)
        for deed in each.deeds
    ]
    taken_back = next((act for act in acts[start:stop] if act.name == "undoRollout"), None)
    if taken_back is not None:
        text = "the earlier image in the file, then docker compose up -d"
        deeds.append(Deed(text=text, after_ns=taken_back.start_ns - begin_ns))
    span = (begin_ns, acts[stop - 1].end_ns)
    subject = next((each.subject for each in own if each.subject), "")
    lost = run.lost[stop] - run.lost[start]
    by_hand = tuple(sorted(deeds, key=lambda deed: deed.after_ns))
    return _side(run.load, run.since_ns, span, lost, by_hand, subject, own[0].without)


def _side(
    load: Load,
    since_ns: int,
    span: tuple[int, int],
    lost: int,
    by_hand: tuple[Deed, ...],
    subject: str,
    without: str,
) -> Side:
    start_ns, end_ns = (since_ns + each for each in span)
    return Side(
        counts=load.report.count(start_ns, end_ns),
        recovery_ns=load.report.recovery_ns(start_ns, end_ns),
        lost_writes=lost,
        by_hand=by_hand,
        subject=subject,
        without=without,
    )


def _total(load: Load, since_ns: int, end_ns: int, bucket_ns: int, kept: int, lost: int) -> Total:
    series: list[float | None] = []
    for start_ns in range(since_ns, since_ns + end_ns, bucket_ns):
        counts = load.report.count(start_ns, min(start_ns + bucket_ns, since_ns + end_ns))
        series.append(round(counts.availability, 4) if counts.total else None)
    counts = load.report.count(since_ns, since_ns + end_ns)
    return Total(counts=counts, kept_writes=kept, lost_writes=lost, series=tuple(series))
