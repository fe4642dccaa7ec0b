"""docs/parity.md: every recorded scenario and the random requests, and where the simulator differs and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from adapters.parity.causes import OF_REQUESTS
from adapters.parity.comparison import SLACK_S, SLACK_SHARE
from adapters.parity.judging import RECORDINGS, SEEDS, Verdict
from adapters.parity.recording import read_recording
from adapters.parity.sequences import DONE, Difference, Kept, count_requests

_HEAD = """# Parity with a real cluster

Each scenario below was run on a real Kubernetes {version} and recorded (`specs/recordings`). The simulator runs the
same file on a cluster of the same size, and both must have done the same: every object of the scenario's namespace went
through the same changes of its meaningful fields in the same order, with the same time between them; there are the same
Events with the same reasons, texts and counts, and the same answers to every call. Names with random parts, uids,
addresses and revisions are made alike; nothing else is. Times may differ by {slack:g} s and {share:.0%} of a wait, a
back-off by the half that it is lengthened by at random; what sums up several Pods is compared by the states that last.
A real run is one of those that chance allows: the simulator is run with {seeds} seeds, and one of them must agree.

`python -m adapters parity --write` makes this page; `python -m adapters record SCENARIO --context NAME` records anew.

**{identical} of {total} scenarios are identical ({percent:.1f} %)**: {subjects} objects, lists of Events and answers.
"""


_REQUESTS: Final = """## Random requests

{requests} requests in {trials} sequences of {length}, drawn by Hypothesis (`python -m adapters sequences --seed 1`),
were sent to a real Kubernetes {version} and their answers kept (`specs/requests`): create, get, list, update, the four
patches, delete and delete of collections over {kinds} kinds, with right and wrong bodies, versions, selectors and
options; {done:.0%} were done, the others refused. Each request depends on what those before it have left.
**{same} of them ({share:.2f} %)** are answered with the same code, reason and message by the simulator.

Of the messages, uids, addresses, times, resourceVersions and generated suffixes are made alike, and so is the whole
object where a refused patch shows it; errors that upstream finds in the random order of a Go map are sorted.

| request | recorded | simulated | cause |
|---|---|---|---|"""


def parity_page(verdicts: Sequence[Verdict], kept: Kept, found: Sequence[Difference]) -> str:
    """The whole page."""
    return "\n".join([*_lines(verdicts), *_requests(kept, found)]) + "\n"


def _requests(kept: Kept, found: Sequence[Difference]) -> Iterator[str]:
    trials = kept.trials
    requests = count_requests(trials)
    yield _REQUESTS.format(
        requests=requests,
        trials=len(trials),
        length=len(trials[0].steps),
        version=kept.version,
        kinds=len({step.resource for trial in trials for step in trial.steps}),
        done=sum(trial.answers.count(DONE) for trial in trials) / requests,
        same=requests - len(found),
        share=100 * (requests - len(found)) / requests,
    )
    for each in found:
        cause = OF_REQUESTS.get((each.namespace, each.number), "not explained yet")
        cells = (f"`{text}`".replace("\n", " ").replace("|", "¦") for text in _texts(each))
        yield f"| {' | '.join(cells)} | {cause} |"


def _texts(each: Difference) -> tuple[str, str, str]:
    return each.step.text()[:200], each.recorded[:300], each.simulated[:300]


def _lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    identical = sum(verdict.is_identical for verdict in verdicts)
    versions = sorted(
        {read_recording(RECORDINGS / f"{each.scenario}.jsonl.gz").cluster["version"] for each in verdicts}
    )
    yield _HEAD.format(
        version=", ".join(versions),
        slack=SLACK_S,
        share=SLACK_SHARE,
        seeds=len(SEEDS),
        identical=identical,
        total=len(verdicts),
        percent=100 * identical / max(1, len(verdicts)),
        subjects=sum(verdict.subjects for verdict in verdicts),
    )
    yield "| scenario | promise | compared | result |"
    yield "|---|---|---|---|"
    for verdict in verdicts:
        result = "identical" if verdict.is_identical else f"**differs** in {len(verdict.differences)}"
        yield f"| {verdict.scenario} | {verdict.promise} | {verdict.subjects} | {result} |"
    different = [verdict for verdict in verdicts if not verdict.is_identical]
    if different:
        yield "\n## What differs, and why\n"
    for verdict in different:
        yield f"**{verdict.scenario}**\n"
        for subject, lines in verdict.differences.items():
            yield f"- {subject}: {verdict.cause_of(subject) or 'not explained yet'}"
            yield from (f"  - `{line[:300]}`" for line in lines)
        yield ""
