"""docs/parity.md: every recorded scenario, whether the simulator did the same, and why where it did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.parity.comparison import SLACK_S, SLACK_SHARE
from adapters.parity.judging import RECORDINGS, SEEDS, Verdict
from adapters.parity.recording import read_recording

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


def parity_page(verdicts: Sequence[Verdict]) -> str:
    """The whole page."""
    return "\n".join(_lines(verdicts)) + "\n"


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
