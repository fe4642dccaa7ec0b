"""Whether a recorded run and its simulated twin did the same: every object, every Event, every answer.

A real run is one of those that chance allows. So the twin is run with several seeds, and agrees if one of its runs
does; what differs is reported of the run that comes nearest.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from adapters.parity.causes import CAUSES
from adapters.parity.comparison import differences, subjects
from adapters.parity.recording import Recording, read_recording
from adapters.parity.sequences import plain
from adapters.parity.summary import Names, summarise
from adapters.parity.twin import simulate
from kubesim.scenario.file import read_scenario

SEEDS: Final = range(1, 7)
RECORDINGS: Final = Path("specs/recordings")
SCENARIOS: Final = Path("specs/scenarios")


class Verdict(NamedTuple):
    """A scenario's parity: what was compared, and what differs by subject; nothing where both did the same."""

    scenario: str
    promise: str
    subjects: int
    differences: dict[str, list[str]]

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def cause_of(self, subject: str) -> str:
        """Why it differs, or an empty text while nobody knows."""
        return CAUSES.get((self.scenario, subject), "")


def recorded_scenarios(folder: Path = RECORDINGS) -> list[str]:
    """The names of all scenarios that have a recording."""
    return sorted(path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.jsonl.gz"))


@cache
def judge(scenario: str, folder: Path = RECORDINGS) -> Verdict:
    """Compare a scenario's recording with its twin."""
    recorded = read_recording(folder / f"{scenario}.jsonl.gz")
    file = read_scenario(SCENARIOS / f"{scenario}.yaml")
    best: dict[str, list[str]] | None = None
    for seed in SEEDS:
        simulated, _ = simulate(file, recorded.cluster, seed)
        found = compare(recorded, simulated)
        if best is None or len(found) < len(best):
            best = found
        if not best:
            break
    names = subjects(summarise(recorded.entries))
    return Verdict(scenario, file.scenario.promise, len(names) + len(recorded.calls), best or {})


def compare(recorded: Recording, simulated: Recording) -> dict[str, list[str]]:
    """What differs between two runs, by subject."""
    before, after = summarise(recorded.entries), summarise(simulated.entries)
    found: dict[str, list[str]] = {}
    for subject in dict.fromkeys([*subjects(before), *subjects(after)]):
        lines = differences(before, after, subject)
        if lines:
            found[subject] = lines
    lines = _answers(recorded, simulated)
    return {**found, "answers": lines} if lines else found


def _answers(recorded: Recording, simulated: Recording) -> list[str]:
    names, twin_names = Names(recorded.entries), Names(simulated.entries)
    lines = []
    for one, other in zip(recorded.calls, simulated.calls, strict=False):
        before, after = (plain(text) or "done" for text in (names.plain(one.answer), twin_names.plain(other.answer)))
        if before != after:
            lines.append(f"{one.step}: recorded {before!r}, simulated {after!r}")
    if len(recorded.calls) != len(simulated.calls):
        lines.append(f"{len(recorded.calls)} calls recorded, {len(simulated.calls)} simulated")
    return lines
