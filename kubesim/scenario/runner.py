"""Runs a scenario over a port: step by step, then the verdict.

Where manifests have been applied, it begins with a step of its own, which waits for all that they start to be ready.
Users come to the Service when the first step is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kubesim.api.objects import Object
from kubesim.errors import ApiError, UserError
from kubesim.scenario.actions import Actor, DrainTimeout
from kubesim.scenario.asking import holds, why_not
from kubesim.scenario.judge import judge_answer, judge_at_end, seconds
from kubesim.scenario.model import (
    Condition,
    Expectation,
    Scenario,
    Step,
    describe,
    reference_to,
)
from kubesim.scenario.outcome import Check, Outcome, Requests, StepOutcome, Writes
from kubesim.scenario.port import Faults, Port, Users

COMES_UP = "The stack comes up"
SELF_STARTING = ("Deployment", "StatefulSet", "ReplicaSet", "Pod")


class Deadline(Exception):  # noqa: N818 - it is no mistake
    """The instant of `--until` has been reached."""


class Runner:
    """One run.

    `applied` are the objects that the caller has applied: the first step waits for them. `on_step(title)` is called as
    each step begins, `on_act()` right before its action, `until_ns` is an instant to stop at.
    """

    def __init__(
        self,
        port: Port,
        scenario: Scenario,
        resolve: Callable[[str], Path],
        applied: Sequence[Object] = (),
        on_step: Callable[[str], None] = lambda _: None,
        on_act: Callable[[], None] = lambda: None,
        until_ns: int | None = None,
    ) -> None:
        self._port = port
        self._scenario = scenario
        self._applied = applied
        self._on_step = on_step
        self._on_act = on_act
        self._until_ns = until_ns
        self._actor = Actor(port, scenario.namespace, resolve)
        self._users: Users | None = None
        self._faults: Faults | None = None
        self._start_ns = port.now_ns
        self._users_since_ns = 0
        self._spans: list[tuple[StepOutcome, list[Expectation]]] = []

    def run(self) -> Outcome:
        """Do all steps and judge."""
        steps = self._all_steps()
        self._start_ns = self._port.now_ns
        done, stopped = 0, ""
        try:
            for step in steps:
                is_met = self._run_step(step)
                done += 1
                if step.step == COMES_UP and not is_met:
                    stopped = "the stack did not come up"
                    break
                if self._users is None and self._scenario.load is not None:
                    self._start_users()
                if self._faults is None and self._scenario.faults:
                    self._faults = self._port.start_faults(tuple(self._scenario.faults), self._scenario.namespace)
            self._end_faults()
        except Deadline:
            stopped = "stopped by --until"
        return self._judge(stopped, [step.step for step in steps[done:]])

    def _all_steps(self) -> list[Step]:
        """The scenario's steps, after the one that applies its manifests."""
        scenario = self._scenario
        steps = [_titled(step) for step in scenario.steps]
        if not self._applied:
            return steps
        until = [
            Condition(object=reference_to(obj, self._applied), is_="ready")
            for obj in self._applied
            if obj["kind"] in SELF_STARTING
        ]
        return [Step(step=COMES_UP, until=until, within=scenario.comes_up_within), *steps]

    def _start_users(self) -> None:
        load = self._scenario.load
        if load is None:
            return
        namespace = load.namespace or self._scenario.namespace
        if self._port.find(f"service/{load.service}", namespace) is not None:
            args = (load.service, namespace, load.rate_per_second, load.write_percent)
            self._users = self._port.start_users(*args)
            self._users_since_ns = self._port.now_ns

    def _end_faults(self) -> None:
        """Wait for what still is to strike at an instant, then heal all that is on."""
        if self._faults is not None:
            self._pass(self._faults.end_ns - self._port.now_ns)
            self._faults.heal_all()

    # --- one step ---

    def _run_step(self, step: Step) -> bool:
        """Returns whether all that can be judged already is met."""
        self._on_step(step.step)
        port = self._port
        checks: list[Check] = []
        self._wait_for_start(step, checks)
        start_ns = port.now_ns
        self._on_act()
        watcher = _Watcher(port, step.expect, self._scenario.namespace)
        subject = ""
        answer: ApiError | None = None
        if step.action:
            try:
                subject = self._actor.act(step.action, step.argument)
            except ApiError as error:
                answer = error
                if not any(each.answer for each in step.expect):
                    checks.append(Check(text=f"{step.action} is done", found=str(error), is_met=False))
            except UserError as error:
                # What the scenario names exists, or it would not have been begun: it is just not in the state for it.
                checks.append(Check(text=f"{step.action} is done", found=str(error), is_met=False))
            except DrainTimeout as error:
                checks.append(Check(text="the drain comes to its end", found=f"Pods are left on {error}", is_met=False))
        healed_ns = self._heal(step, start_ns, watcher, checks)
        self._last(start_ns + step.lasts - port.now_ns, watcher)
        checks += watcher.checks()
        checks += [judge_answer(each.answer, answer) for each in step.expect if each.answer is not None]
        outcome = StepOutcome(
            title=step.step,
            action=step.action,
            subject=subject,
            answer="" if answer is None else f"{answer.code} {answer.reason}: {answer.message}",
            start_ns=start_ns,
            end_ns=port.now_ns,
            healed_ns=healed_ns,
            is_healing=bool(step.action and step.until) and all(condition.is_ == "ready" for condition in step.until),
            checks=tuple(checks + self._judge_now(step, start_ns)),
        )
        self._spans.append((outcome, [each for each in step.expect if _is_about_requests(each)]))
        return all(check.is_met for check in outcome.checks)

    def _wait_for_start(self, step: Step, checks: list[Check]) -> None:
        port = self._port
        if step.at is not None:
            self._pass(self._start_ns + step.at - port.now_ns)
        elif step.after is not None:
            self._pass(step.after)
        elif step.when is not None:
            condition = step.when
            if not self._wait(lambda: holds(port, condition, self._scenario.namespace), step.within):
                text = f"{describe(condition)}, so that the step can begin"
                found = f"not within {seconds(step.within)}"
                checks.append(Check(text=text, found=found, is_met=False))

    def _heal(self, step: Step, start_ns: int, watcher: _Watcher, checks: list[Check]) -> int | None:
        """Wait until everything that the step waits for is so; returns how long that took from its start."""
        if not step.until:
            return None
        port, namespace = self._port, self._scenario.namespace

        def is_so() -> bool:
            watcher.look()
            return all(holds(port, condition, namespace) for condition in step.until)

        is_noticed = True
        may_be_unnoticed = step.action and all(each.is_ == "ready" for each in step.until)
        has_waited = step.action in _WAITING and port.now_ns - start_ns >= _INSTANT_NS
        if may_be_unnoticed and not has_waited and is_so():
            # Nobody can have noticed yet: first it must show, then it must be over.
            is_noticed = self._wait(lambda: not is_so(), min(step.within, _NOTICED_NS))
        is_met = self._wait(is_so, max(0, step.within - (port.now_ns - start_ns)))
        took_ns = port.now_ns - start_ns if is_noticed else 0
        missing = [each for each in step.until if not holds(port, each, namespace)]
        text = f"{', '.join(describe(each) for each in (missing or step.until))} within {seconds(step.within)}"
        found = f"after {seconds(took_ns)}" if is_met else "; ".join(why_not(port, each, namespace) for each in missing)
        checks.append(Check(text=text, found=found, is_met=is_met))
        if is_met and step.stays:
            self._pass(step.stays, watcher.look if watcher.is_needed else None)
            lost = [each for each in step.until if not holds(port, each, namespace)]
            found = "; ".join(why_not(port, each, namespace) for each in lost) or "it stays so"
            checks.append(Check(text=f"this stays so for {seconds(step.stays)}", found=found, is_met=not lost))
        return took_ns if is_met else None

    def _last(self, span_ns: int, watcher: _Watcher) -> None:
        if span_ns > 0:
            self._pass(span_ns, watcher.look if watcher.is_needed else None)

    def _wait(self, is_so: Callable[[], bool], within_ns: int) -> bool:
        left_ns = within_ns if self._until_ns is None else min(within_ns, self._until_ns - self._port.now_ns)
        if self._port.wait_until(is_so, max(0, left_ns)):
            return True
        if left_ns < within_ns:
            raise Deadline
        return False

    def _pass(self, span_ns: int, on_change: Callable[[], None] | None = None) -> None:
        if span_ns <= 0:
            return
        left_ns = span_ns if self._until_ns is None else min(span_ns, self._until_ns - self._port.now_ns)
        self._port.pass_time(max(0, left_ns), on_change)
        if left_ns < span_ns:
            raise Deadline

    # --- the verdict ---

    def _judge_now(self, step: Step, start_ns: int) -> list[Check]:
        """The expectations of a step about objects, which must be judged while they are as the step left them."""
        span = (start_ns, self._port.now_ns)
        args = (self._port, self._users, self._scenario.namespace, span)
        found = [judge_at_end(each, *args) for each in step.expect if not _is_about_requests(each)]
        return [check for check in found if check is not None]

    def _judge(self, stopped: str, not_run: Sequence[str]) -> Outcome:
        port, scenario, users = self._port, self._scenario, self._users
        end_ns = port.now_ns
        checks: list[Check] = []
        if not stopped:
            checks += self._judge_objects(scenario.expect, (self._start_ns, end_ns))
        if users is not None:
            users.stop()
            port.settle()
        steps = tuple(self._with_requests(*span) for span in self._spans)
        if not stopped:
            checks += self._judge_users(scenario.expect, (self._users_since_ns, end_ns))
        return Outcome(
            name=scenario.name,
            promise=scenario.promise,
            start_ns=self._start_ns,
            end_ns=end_ns,
            steps=steps,
            checks=tuple(checks),
            requests=self._requests(end_ns),
            writes=self._writes(),
            stopped=stopped,
            not_run=tuple(not_run),
        )

    def _judge_objects(self, expect: Sequence[Expectation], span: tuple[int, int]) -> list[Check]:
        wanted = [each for each in expect if not _is_about_requests(each)]
        return self._judge_all(wanted, span)

    def _judge_users(self, expect: Sequence[Expectation], span: tuple[int, int]) -> list[Check]:
        return self._judge_all([each for each in expect if _is_about_requests(each)], span)

    def _judge_all(self, expect: Sequence[Expectation], span: tuple[int, int]) -> list[Check]:
        args = (self._port, self._users, self._scenario.namespace, span)
        return [check for check in (judge_at_end(each, *args) for each in expect) if check is not None]

    def _with_requests(self, outcome: StepOutcome, expect: Sequence[Expectation]) -> StepOutcome:
        """The step's outcome with what its users met, now that every request has its own."""
        changes: dict[str, Any] = {}
        users, span = self._users, (outcome.start_ns, outcome.end_ns)
        if users is not None and self._users_since_ns < outcome.end_ns:
            first = users.first_unserved(*span)
            changes["counts"] = users.count(*span)
            changes["recovery_ns"] = users.recovery_ns(*span)
            if first is not None:
                changes["unserved_after_ns"], changes["unserved_because"] = first[0] - outcome.start_ns, first[1]
        changes["checks"] = (*outcome.checks, *self._judge_all(expect, span))
        from msgspec.structs import replace

        return replace(outcome, **changes)

    def _requests(self, end_ns: int) -> Requests | None:
        users, load = self._users, self._scenario.load
        if users is None or load is None:
            return None
        return Requests(
            service=load.service,
            rate_per_second=load.rate_per_second,
            counts=users.count(0, end_ns + 1),
            reasons=users.reasons(),
            p50_ns=users.duration_ns(0.5),
            p99_ns=users.duration_ns(0.99),
        )

    def _writes(self) -> Writes | None:
        users = self._users
        if users is None:
            return None
        audit = users.audit()
        if not audit.kept and not audit.lost and not audit.unknown:
            return None
        return Writes(kept=audit.kept, lost=audit.lost, unknown=audit.unknown, unknown_kept=audit.unknown_kept)


# A disturbance that no status shows within this time needs no healing. A lost node shows after some 50 s.
_NOTICED_NS = 90_000_000_000
# Actions that wait themselves for what they do, where they take so long; a real request takes milliseconds.
_WAITING = ("drain", "exec")
_INSTANT_NS = 500_000_000


class _Watcher:
    """Looks, after every change, for what a step expects to be so at some instant, or at none."""

    def __init__(self, port: Port, expect: Sequence[Expectation], namespace: str) -> None:
        self._port = port
        self._namespace = namespace
        self._conditions = [
            (each.ever or each.never, each.never is not None) for each in expect if each.ever or each.never
        ]
        self._seen = [False] * len(self._conditions)

    @property
    def is_needed(self) -> bool:
        return bool(self._conditions)

    def look(self) -> None:
        """Ask every condition that has not been met yet."""
        for index, (condition, _) in enumerate(self._conditions):
            if condition is not None and not self._seen[index]:
                self._seen[index] = holds(self._port, condition, self._namespace)

    def checks(self) -> list[Check]:
        """What was seen."""
        self.look()
        found = []
        for (condition, is_never), seen in zip(self._conditions, self._seen, strict=True):
            if condition is not None:
                text = f"{'never' if is_never else 'at some moment'}: {describe(condition)}"
                found.append(Check(text=text, found="it was so" if seen else "it was not so", is_met=seen != is_never))
        return found


def _is_about_requests(expectation: Expectation) -> bool:
    """Whether it needs every request to have its outcome."""
    wanted = (expectation.availability, expectation.failed_requests, expectation.recovery, expectation.outage)
    writes = (expectation.lost_writes, expectation.kept_writes)
    return any(each is not None for each in (*wanted, *writes))


def _titled(step: Step) -> Step:
    """The step with a title, made from its action where the file gives none."""
    if step.step:
        return step
    from msgspec.structs import replace

    argument = step.argument
    if step.action:
        of = getattr(argument, "of", None) or (argument if isinstance(argument, str) else "")
        return replace(step, step=f"{step.action} {of}".strip())
    wait = ", ".join(describe(each) for each in step.until)
    return replace(step, step=f"wait until {wait}" if wait else "look")
