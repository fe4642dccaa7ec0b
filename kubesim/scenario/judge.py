"""Whether expectations are met: each becomes a `Check` that says what was wanted and what was found."""

from __future__ import annotations

from kubesim.errors import ApiError
from kubesim.scenario.asking import count_restarts, holds, value_of
from kubesim.scenario.model import Answer, Bound, Expectation, Restarts, describe, describe_bound, is_within
from kubesim.scenario.outcome import Check
from kubesim.scenario.port import Port, Users
from kubesim.sim.loop import MILLISECOND, SECOND

_NO_USERS = Check(text="users are served", found="the scenario has no load", is_met=False)


def seconds(span_ns: int) -> str:
    """A span in words: `350 ms`, `2.4 s`, `5m50s`."""
    if span_ns < SECOND:
        return f"{span_ns / MILLISECOND:.0f} ms"
    if span_ns < 100 * SECOND:
        return f"{span_ns / SECOND:.1f} s"
    minutes, rest = divmod(round(span_ns / SECOND), 60)
    return f"{minutes}m{rest:02d}s"


def percent(share: float) -> str:
    """A share in words; never rounded up to 100."""
    if share >= 1:
        return "100 %"
    return f"{min(share * 100, 99.99):.2f} %"


def judge_at_end(
    expectation: Expectation, port: Port, users: Users | None, namespace: str, span: tuple[int, int]
) -> Check | None:
    """An expectation about a finished span of time; None for `ever`, `never` and `answer`, judged as it passes."""
    if expectation.that is not None:
        condition = expectation.that
        is_met = holds(port, condition, namespace)
        return Check(
            text=describe(condition),
            found="it is so" if is_met else _found(port, expectation, namespace),
            is_met=is_met,
        )
    if expectation.restarts is not None:
        wanted = expectation.restarts
        count = count_restarts(port, wanted, namespace)
        text = f"restarts of {wanted.of}: {_wanted(wanted)}"
        return Check(text=text, found=str(count), is_met=is_within(wanted, count))
    if expectation.ever or expectation.never or expectation.answer:
        return None
    if users is None:
        return _NO_USERS
    if expectation.lost_writes is not None or expectation.kept_writes is not None:
        return _judge_writes(expectation, users)
    return _judge_requests(expectation, users, span)


def judge_answer(wanted: Answer, found: ApiError | None) -> Check:
    """Whether the API server has refused a step's action in the way that is expected."""
    text = f"it is refused: {wanted.code} {wanted.reason}".rstrip() + (f": {wanted.message}" if wanted.message else "")
    if found is None:
        return Check(text=text, found="it was done", is_met=False)
    is_met = found.code == wanted.code and wanted.reason in ("", found.reason) and wanted.message in ("", found.message)
    return Check(text=text, found=f"{found.code} {found.reason}: {found.message}", is_met=is_met)


def _wanted(bound: Bound | Restarts) -> str:
    return f"{describe_bound(bound).replace('is ', '')} wanted"


def _found(port: Port, expectation: Expectation, namespace: str) -> str:
    condition = expectation.that
    return "" if condition is None else f"found {value_of(port, condition, namespace)}"


def _judge_requests(expectation: Expectation, users: Users, span: tuple[int, int]) -> Check:
    if expectation.recovery is not None:
        recovery_ns = users.recovery_ns(*span)
        text = f"users are served again within {seconds(expectation.recovery)}"
        if recovery_ns is None:
            return Check(text=text, found="they are not", is_met=False)
        return Check(text=text, found=f"after {seconds(recovery_ns)}", is_met=recovery_ns <= expectation.recovery)
    if expectation.outage is not None:
        outage_ns = users.longest_outage_ns(*span)
        text = f"users never do without for longer than {seconds(expectation.outage)}"
        return Check(text=text, found=f"for {seconds(outage_ns)}", is_met=outage_ns <= expectation.outage)
    counts = users.count(*span)
    if expectation.availability is not None:
        text = f"availability is at least {percent(expectation.availability)}"
        is_met = counts.availability >= expectation.availability and counts.total > 0
        return Check(text=text, found=f"{percent(counts.availability)} of {counts.total} requests", is_met=is_met)
    bound = expectation.failed_requests or Bound()
    unserved = counts.unserved
    text = f"requests that are not served: {_wanted(bound)}"
    return Check(text=text, found=f"{unserved} of {counts.total}", is_met=is_within(bound, unserved))


def _judge_writes(expectation: Expectation, users: Users) -> Check:
    audit = users.audit()
    if expectation.lost_writes is not None:
        bound, count, verb = expectation.lost_writes, len(audit.lost), "lost"
    else:
        bound, count, verb = expectation.kept_writes or Bound(), audit.kept, "kept"
    text = f"acknowledged writes {verb}: {_wanted(bound)}"
    return Check(text=text, found=f"{count} of {audit.kept + len(audit.lost)}", is_met=is_within(bound, count))
