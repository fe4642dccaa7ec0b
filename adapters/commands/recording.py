"""`record` and `parity`: observe scenarios on a real cluster, and compare what was observed with the simulator."""

from __future__ import annotations

import argparse
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from adapters.contexts import Target, choose_target
from adapters.mirror import Change
from adapters.parity.judging import judge, recorded_scenarios
from adapters.parity.page import parity_page
from adapters.parity.playing import differences_from
from adapters.parity.recording import Recording, describe_cluster, relevant, write_recording
from adapters.parity.sequences import read_trials
from adapters.parity.summary import RECORDED, Entry
from adapters.parity.twin import AFTER_S, calls_of, namespace_of
from adapters.real import RealPort
from kubesim.errors import UserError
from kubesim.scenario.file import ScenarioFile, read_scenario
from kubesim.scenario.outcome import Outcome
from kubesim.scenario.runner import Runner
from kubesim.sim.loop import SECOND

PAGE: Final = Path("docs/parity.md")
_DONE: Final = 0
_DIFFERS: Final = 1


def record(arguments: argparse.Namespace) -> int:
    """Run scenarios on the cluster and keep what was observed; returns the exit code."""
    target = choose_target(arguments.context, arguments.namespace, arguments.kubeconfig, Path())
    folder = Path(arguments.into)
    folder.mkdir(parents=True, exist_ok=True)
    code = _DONE
    for name in arguments.scenario:
        file = read_scenario(name)
        found, outcome = _observe(target, file)
        write_recording(folder / f"{file.path.stem}.jsonl.gz", found)
        _say(f"{file.scenario.name}: {len(found.entries)} events, {len(found.calls)} calls")
        for title, check in outcome.failed:
            code = _DIFFERS
            _say(f"  ✗ {title}: {check.text}: {check.found}")
    return code


def _observe(target: Target, file: ScenarioFile) -> tuple[Recording, Outcome]:
    entries: list[Entry] = []
    with RealPort(target) as port:

        def take(change: Change) -> None:
            entries.append(Entry(port.now_ns / SECOND, change.type, change.kind.plural, change.object))

        for resource in RECORDED:
            entries.extend(Entry(0.0, "INITIAL", resource, obj) for obj in port.list(resource))
        facts = describe_cluster(port.version(), port.list("nodes"), port.list("storageclasses"))
        port.on_change = take
        try:
            applied = [obj for each in file.scenario.manifests for obj in port.apply(file.resolve(each))]
            outcome = Runner(port, file.scenario, file.resolve, applied).run()
            port.pass_time(round(AFTER_S * SECOND))
        finally:
            port.on_change = _nobody
            port.delete_created()
    namespace = namespace_of(file)
    calls = calls_of(outcome)
    return Recording(file.scenario.name, namespace, facts, relevant(entries, namespace), calls), outcome


def _nobody(_: Change) -> None:
    """What is cleaned up after a scenario is not part of it."""


def parity(arguments: argparse.Namespace) -> int:
    """Compare recordings with the simulator; returns the exit code."""
    folder = Path(arguments.recordings)
    known = recorded_scenarios(folder)
    if not known:
        raise UserError(f"there is no recording in {folder}; make one with: python -m adapters record SCENARIO")
    for name in arguments.scenario:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise UserError(f"{folder}: there is no recording of {name}{f'; did you mean {near[0]}?' if near else ''}")
    verdicts = [judge(name, folder) for name in arguments.scenario or known]
    for verdict in verdicts:
        _say(f"{verdict.scenario}: {'identical' if verdict.is_identical else 'differs'} ({verdict.subjects} compared)")
        for subject, lines in verdict.differences.items():
            _say(f"  {subject}: {verdict.cause_of(subject) or 'not explained yet'}")
            for line in lines:
                _say(f"    {line}")
    identical = sum(verdict.is_identical for verdict in verdicts)
    _say(f"{identical} of {len(verdicts)} scenarios are identical")
    if arguments.write:
        kept = read_trials()
        PAGE.write_text(parity_page(verdicts, kept, differences_from(kept)))
    unexplained = any(not verdict.cause_of(subject) for verdict in verdicts for subject in verdict.differences)
    return _DIFFERS if unexplained else _DONE


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


COMMANDS: Final = {"record": record, "parity": parity}
