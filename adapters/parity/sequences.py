"""Random sequences of requests with their answers: how they are kept, and where two runs of one differ.

A file has a JSON object a line, first the cluster, then a trial each; it is compressed.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from adapters.parity.steps import Step, pack, unpack
from adapters.parity.summary import ADDRESS, UID
from kubesim.errors import ApiError

KEPT: Final = Path("specs/requests/sequences.xz")
DONE: Final = "done"

_RANDOM: Final = (
    (re.compile(r"\bgen-[a-z0-9]{5}\b"), "gen-<random>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\bkube-api-access-[a-z0-9]{5}\b"), "kube-api-access-<random>"),
    (re.compile(r"(ResourceVersion in record \(|\bresourceVersion:)\d+"), r"\1<version>"),
    # The object as it is in full, with its managers, times and versions.
    (re.compile(r'(patch: Invalid value: )"\{.*\}"(: )', re.DOTALL), r"\1<object>\2"),
    (UID, "<uid>"),
    (ADDRESS, "<ip>"),
)
# What is wrong with several labels, which a real server finds in the order of a Go map.
_NEXT_LABEL: Final = re.compile(r", (?=metadata\.labels: )")
_LABELS: Final = re.compile(r"metadata\.labels: [^\n]*?'\)(?:, metadata\.labels: [^\n]*?'\))+")


class Trial(NamedTuple):
    """Steps in a namespace of their own, and how each was answered: `done`, or code, reason and message."""

    namespace: str
    steps: list[Step]
    answers: list[str]


class Kept(NamedTuple):
    """What a real API server of that version answered."""

    version: str
    trials: list[Trial]


class Difference(NamedTuple):
    """A request that was answered otherwise; `number` counts from 0 in its trial."""

    namespace: str
    number: int
    step: Step
    recorded: str
    simulated: str

    def lines(self) -> Iterator[str]:
        """It for a reader."""
        yield f"{self.namespace} {self.number}: {self.step.text()}"
        yield f"  recorded  {self.recorded}"
        yield f"  simulated {self.simulated}"


def answer_of(error: ApiError) -> str:
    """A refusal without what no two clusters have in common: uids, addresses, times, versions, generated suffixes."""
    text = f"{error.code} {error.reason}: {error.message}"
    return plain(text)


def plain(text: str) -> str:
    """A text without that; what a real server finds by walking a map in any order is put in one."""
    for pattern, common in _RANDOM:
        text = pattern.sub(common, text)
    text = _LABELS.sub(lambda found: ", ".join(sorted(_NEXT_LABEL.split(found[0]))), text)
    head, errors, listed = text.partition("errors:\n")
    return head + errors + "\n".join(sorted(listed.split("\n"))) if errors else text


def differences_between(recorded: Sequence[Trial], simulated: Sequence[Trial]) -> list[Difference]:
    """Every request that was answered otherwise, in order."""
    return [
        Difference(one.namespace, number, step, before, after)
        for one, other in zip(recorded, simulated, strict=True)
        for number, (step, before, after) in enumerate(zip(one.steps, one.answers, other.answers, strict=True))
        if before != after
    ]


def count_requests(trials: Sequence[Trial]) -> int:
    """All requests of all trials."""
    return sum(len(trial.steps) for trial in trials)


def write_trials(path: Path, kept: Kept) -> None:
    """Write the file, the same bytes for the same answers."""
    lines: list[object] = [{"version": kept.version}]
    for trial in kept.trials:
        lines.append([trial.namespace, *([pack(s), a] for s, a in zip(trial.steps, trial.answers, strict=True))])
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(text.encode()))


def read_trials(path: Path = KEPT) -> Kept:
    """Read a file that `write_trials` has written."""
    head, *lines = map(json.loads, lzma.decompress(path.read_bytes()).decode().splitlines())
    trials = [
        Trial(namespace, [unpack(step) for step, _ in rows], [plain(answer) for _, answer in rows])
        for namespace, *rows in lines
    ]
    return Kept(head["version"], trials)
