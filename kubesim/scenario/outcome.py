"""What a scenario's run has shown, as values for reports. Instants and spans in ns; shares from 0 to 1."""

from __future__ import annotations

import msgspec

from kubesim.users.report import Counts


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation: what it says, what was found, and whether it held."""

    text: str
    found: str
    is_met: bool


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One step that has been run.

    `start_ns` is when its action was done. `healed_ns` is how long `until` took from then: None without one or where
    it never held; `is_healing` says that it asked for readiness after an action. `counts`, `recovery_ns` and
    `unserved_after_ns` (from the action to the first request that was not served, `unserved_because` of what) are None
    where there were no users yet. `answer` is how the API server refused the action.
    """

    title: str
    action: str
    subject: str
    start_ns: int
    end_ns: int
    healed_ns: int | None = None
    is_healing: bool = False
    counts: Counts | None = None
    recovery_ns: int | None = None
    unserved_after_ns: int | None = None
    unserved_because: str = ""
    answer: str = ""
    checks: tuple[Check, ...] = ()


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """All requests of a run."""

    service: str
    rate_per_second: float
    counts: Counts
    reasons: dict[str, int]
    p50_ns: int | None
    p99_ns: int | None


class Writes(msgspec.Struct, frozen=True, kw_only=True):
    """Acknowledged writes that are still there, and the keys of those that are not; `unknown` got no clear answer."""

    kept: int
    lost: tuple[str, ...]
    unknown: int
    unknown_kept: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. `not_run` are the titles of steps that were left out, and `stopped` says why."""

    name: str
    promise: str
    start_ns: int
    end_ns: int
    steps: tuple[StepOutcome, ...]
    checks: tuple[Check, ...]
    requests: Requests | None = None
    writes: Writes | None = None
    stopped: str = ""
    not_run: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[tuple[str, Check], ...]:
        """The expectations that did not hold, each with its step's title (empty for the whole run)."""
        found = [(step.title, check) for step in self.steps for check in step.checks if not check.is_met]
        return (*found, *(("", check) for check in self.checks if not check.is_met))

    @property
    def is_met(self) -> bool:
        """Whether every expectation held."""
        return not self.failed
