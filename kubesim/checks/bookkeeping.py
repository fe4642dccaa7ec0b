"""The numbers by which readers order what they see: resourceVersions, generations, observed generations."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import DEPLOYMENT, POD_DISRUPTION_BUDGET, REPLICA_SET, STATEFUL_SET
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import Scene, subject_of


@final
class RevisionsMoveForward:
    """Upstream: apiserver/pkg/storage/etcd3/store.go: every write is a transaction with a revision of its own."""

    name = "revisionsMoveForward"
    promise = "Every write has a higher resourceVersion than all before it."

    def attach(self, scene: Scene) -> None:
        """Look at every write."""
        last = scene.cluster.store.revision

        def look(write: Write) -> None:
            nonlocal last
            revision = int(write.obj["metadata"]["resourceVersion"])
            if revision <= last:
                scene.report(self.name, subject_of(write.obj), f"is written as {revision} after {last}")
            last = revision

        scene.on_any_write(look)


@final
class GenerationsMoveForward:
    """Upstream: api-conventions.md, metadata and typical status properties."""

    name = "generationsMoveForward"
    promise = "A new spec has a higher generation, and no status claims to have observed a generation yet to come."

    def attach(self, scene: Scene) -> None:
        """Look at the kinds whose controllers report what they have observed."""

        def look(write: Write) -> None:
            generation = write.obj["metadata"].get("generation", 0)
            before = write.previous["metadata"].get("generation", 0) if write.previous is not None else 0
            if generation < before:
                scene.report(self.name, subject_of(write.obj), f"goes from generation {before} back to {generation}")
            elif _is_new_spec(write) and generation == before:
                scene.report(self.name, subject_of(write.obj), f"has a new spec under its old generation {before}")
            observed = (write.obj.get("status") or {}).get("observedGeneration", 0)
            if observed > generation:
                text = f"its status has observed generation {observed} of {generation}"
                scene.report(self.name, subject_of(write.obj), text)

        for kind in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, POD_DISRUPTION_BUDGET):
            scene.on_write(kind, look)


def _is_new_spec(write: Write) -> bool:
    previous = write.previous
    if previous is None or previous is write.obj or previous["spec"] is write.obj["spec"]:
        return False
    return bool(previous["spec"] != write.obj["spec"])
