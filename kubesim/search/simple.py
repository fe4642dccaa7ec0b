"""A search in one call, for tests: manifests in, a finding or nothing out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import yaml

from kubesim.checks import Invariant
from kubesim.cluster import Cluster, ClusterOptions
from kubesim.faults import describe
from kubesim.search.campaign import Campaign
from kubesim.search.chains import cluster_of
from kubesim.search.finding import Finding, reduce_failure
from kubesim.search.plan import Range
from kubesim.search.running import Setting, Users
from kubesim.testing.schedules import find_faults, targets_of

EXAMPLES = 256
_AHEAD = 16


def search(
    *sources: str | Path,
    faults: Sequence[str] = (),
    invariants: Sequence[Invariant] = (),
    users: Users | None = None,
    prepare: Callable[[Cluster], None] | None = None,
    examples: int = EXAMPLES,
    seed: int = 0,
    nodes: int | None = None,
    availability: float = 0.0,
    executor: Executor | None = None,
) -> Finding | None:
    """Look for a schedule of faults that breaks a promise; returns the smallest one, or None.

    `sources` are manifest files, `faults` names or areas of faults, `invariants` one's own beside the built-in ones,
    `prepare(cluster)` is called with each fresh cluster. With `nodes` clusters are not drawn but have so many. An
    `executor` plays schedules elsewhere: a process pool, or what `get_executor()` of a dask.distributed client gives;
    `prepare` and `invariants` must then be importable there.

    Raises:
        UserError: the manifests have mistakes, or there is no such fault.
    """
    changes: dict[str, Any] = {"records": False} if nodes is None else {"records": False, "nodes": nodes}
    setting = Setting(
        sources=tuple(str(source) for source in sources),
        options=ClusterOptions().with_changes(changes),
        users=users,
        availability=availability,
        prepare=prepare,
        own=tuple(invariants),
    )
    plan = Range(setting, targets_of(cluster_of(setting)), find_faults(faults), seed, varies_cluster=nodes is None)
    for finished in Campaign(plan, examples).run(executor, _AHEAD if executor is not None else 1, lambda: False):
        if finished.failure is not None:
            return reduce_failure(finished.failure)
    return None


def explain(finding: Finding) -> str:
    """A finding in a few lines, for the message of a test that failed."""
    violation, options = finding.violation, finding.setting.options
    schedule = (
        yaml.dump([describe(each) for each in finding.schedule], sort_keys=False) if finding.schedule else "none\n"
    )
    return (
        f"{violation.invariant} is broken at {violation.at_ns / 1e9:.3f} s: {violation.subject} {violation.text}\n"
        f"on {options.nodes} nodes, seed {options.seed}, by these faults (shrunk from {finding.faults_before}):\n"
        f"{schedule}"
    )
