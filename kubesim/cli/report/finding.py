"""A finished run, as every report reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubesim.api.objects import Object
from kubesim.cli.printing.table import KINDS
from kubesim.cluster import Cluster
from kubesim.scenario.outcome import Outcome


class Finding(NamedTuple):
    """The cluster as the run left it, the outcome, what was applied at the start, and notes about the input."""

    cluster: Cluster
    outcome: Outcome
    applied: Sequence[Object]
    notes: Sequence[str]
    # For each step how many records of the trace there were before its action.
    bounds: Sequence[int]

    def objects(self) -> dict[str, list[Object]]:
        """The user's objects of the kinds that are printed, by plural."""
        cluster = self.cluster
        own = {
            kind: [obj for obj in cluster.list(kind) if obj["metadata"].get("namespace") not in _SYSTEM_SPACES]
            for kind in KINDS
        }
        own["services"] = [obj for obj in own["services"] if obj["metadata"]["name"] != "kubernetes"]
        return own


_SYSTEM_SPACES = ("kube-system", "kube-public", "kube-node-lease")
