"""A finding as a scenario file, and a scenario file as what can be played."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from kubesim.checks.checks import find_invariant
from kubesim.client.inprocess import Latency
from kubesim.cluster import ClusterOptions
from kubesim.errors import UserError
from kubesim.faults import Schedule, describe
from kubesim.faults.schedule import spell_duration
from kubesim.scenario.file import ScenarioFile, read_scenario
from kubesim.scenario.model import Checks, Scenario
from kubesim.search.budgets import Budget, budget_of
from kubesim.search.finding import Finding
from kubesim.search.running import Setting, Users

_DEFAULTS: Final = Setting(sources=())


class Replayable(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says: the setting and schedule to be played, and what must come of it, where it says that."""

    setting: Setting
    schedule: Schedule
    name: str
    promise: str
    breaks: str
    digest: str


def read_replay(path: str | Path) -> Replayable:
    """Read a scenario file that has `checks`.

    Raises:
        UserError: it cannot be read, is no scenario, or has nothing that could be played again.
    """
    file = read_scenario(path)
    scenario = file.scenario
    if scenario.checks is None:
        raise UserError(f"{path}: it has no checks, so there is nothing to replay; run it with: kubesim run --scenario")
    if scenario.steps:
        raise UserError(f"{file.locate('steps')}: a replay has no steps; run it with: kubesim run --scenario")
    for number, name in enumerate(scenario.checks.invariants):
        try:
            find_invariant(name)
        except UserError as error:
            raise UserError(f"{file.locate('checks', 'invariants', number)}: {error}") from error
    return Replayable(
        setting=_setting_of(scenario, tuple(str(file.resolve(name)) for name in scenario.manifests)),
        schedule=tuple(scenario.faults),
        name=scenario.name,
        promise=scenario.promise,
        breaks=scenario.checks.breaks,
        digest=scenario.checks.digest,
    )


def setting_of(file: ScenarioFile) -> Setting:
    """What a search plays that is to break what a scenario promises: its stack, users and budgets; not its steps.

    Raises:
        UserError: there is nothing to search for.
    """
    scenario = file.scenario
    if not scenario.manifests:
        raise UserError(f"{file.path}: it has no manifests, so there is nothing to test")
    budget = budget_of(scenario)
    if budget != Budget() and scenario.load is None:
        raise UserError(f"{file.locate('promise')}: availability and recovery are of users; give the scenario a load")
    setting = _setting_of(scenario, tuple(str(file.resolve(name)) for name in scenario.manifests))
    return msgspec.structs.replace(setting, availability=budget.availability, recovery_ns=budget.recovery_ns)


def _setting_of(scenario: Scenario, sources: tuple[str, ...]) -> Setting:
    nodes, load, checks = scenario.cluster, scenario.load, scenario.checks or Checks()
    changes: dict[str, Any] = {
        "records": False,
        "seed": nodes.seed,
        "node_labels": nodes.labels,
        "missing_images": tuple(nodes.missing_images),
        "programs": scenario.programs,
        "latency": Latency(int(nodes.latency.read), int(nodes.latency.write), int(nodes.latency.watch)),
    }
    changes |= {"nodes": nodes.nodes} if nodes.nodes is not None else {}
    changes |= {"node_cpu": nodes.cpu} if nodes.cpu else {}
    changes |= {"node_memory": nodes.memory} if nodes.memory else {}
    users = None
    if load is not None:
        users = Users(
            service=load.service,
            namespace=load.namespace or scenario.namespace,
            rate_per_second=load.rate_per_second,
            write_percent=load.write_percent,
        )
    return Setting(
        sources=sources,
        options=ClusterOptions().with_changes(changes),
        users=users,
        invariants=tuple(checks.invariants),
        availability=checks.availability,
        recovery_ns=int(checks.recovery),
        disturbed_ns=int(checks.disturbed),
        within_ns=int(checks.within),
        stays_ns=int(checks.stays),
        lasts_ns=int(checks.lasts),
    )


def document_of(found: Finding, promise: str, digest: str, folder: Path) -> dict[str, Any]:
    """A finding as the mapping that its file holds; manifests are named as seen from the file's folder."""
    setting, violation = found.setting, found.violation
    document: dict[str, Any] = {
        "name": f"{violation.invariant} is broken by {_count(len(found.schedule))}",
        "promise": promise,
        "manifests": [os.path.relpath(source, folder) for source in setting.sources],
        "cluster": _cluster_of(setting.options),
    }
    users = setting.users
    if users is not None:
        load: dict[str, Any] = {"service": users.service, "ratePerSecond": users.rate_per_second}
        load |= {"namespace": users.namespace} if users.namespace else {}
        document["load"] = {**load, "writePercent": users.write_percent}
    if setting.options.programs:
        document["programs"] = setting.options.programs
    document["faults"] = [describe(disturbance) for disturbance in found.schedule]
    checks: dict[str, Any] = {"invariants": list(setting.invariants)} if setting.invariants else {}
    checks |= {"availability": setting.availability} if setting.availability else {}
    for name in ("recovery", "disturbed", "within", "stays", "lasts"):
        span_ns = getattr(setting, f"{name}_ns")
        if span_ns != getattr(_DEFAULTS, f"{name}_ns"):
            checks[name] = spell_duration(span_ns)
    document["checks"] = {**checks, "breaks": violation.invariant, "digest": digest}
    return document


def _count(faults: int) -> str:
    return "no fault at all" if not faults else "1 fault" if faults == 1 else f"{faults} faults"


def _cluster_of(options: ClusterOptions) -> dict[str, Any]:
    plain = ClusterOptions()
    cluster: dict[str, Any] = {"nodes": options.nodes}
    for name, key in (("node_cpu", "cpu"), ("node_memory", "memory"), ("seed", "seed"), ("node_labels", "labels")):
        value = getattr(options, name)
        if value != getattr(plain, name):
            cluster[key] = value
    if options.missing_images:
        cluster["missingImages"] = list(options.missing_images)
    if options.latency != plain.latency:
        read, write, watch = (spell_duration(span_ns) for span_ns in options.latency)
        cluster["latency"] = {"read": read, "write": write, "watch": watch}
    return cluster


def write_replay(path: Path, document: dict[str, Any]) -> None:
    """Write the file.

    Raises:
        UserError: it cannot be written.
    """
    import yaml

    text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=110)
    try:
        path.write_text(f"# kubesim replay {path.name}\n{text}", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {(error.strerror or 'unknown').lower()}; name another") from error


def pytest_of(name: str, path: str, breaks: str) -> str:
    """A test that plays a replay file and wants the promise kept."""
    words = "".join(letter if letter.isalnum() else "_" for letter in name.lower()).strip("_")
    return f'''"""Made by `kubesim replay --as-pytest` from {path}."""

from pathlib import Path

from kubesim.search import read_replay, replay


def test_{words}():
    """{breaks} holds in the run that once broke it."""
    given = read_replay(Path(__file__).parent / "{path}")

    assert replay(given.setting, given.schedule).violation is None
'''
