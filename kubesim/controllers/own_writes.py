"""What a controller has written, against what its informers have seen: it must not decide on a past before its acts.

Newer than `Expectations` and simpler: a revision per kind instead of counts. Deletions carry no revision and are not
waited for.
Upstream: pkg/controller/util/consistency/consistency.go, on for StatefulSets by StaleControllerConsistencyStatefulSet,
whose default is true @v1.36
"""

from __future__ import annotations

from typing import final

from kubesim.api.objects import Key, Object
from kubesim.api.scheme import Kind
from kubesim.client.informer import Informer
from kubesim.sim.loop import MILLISECOND

# Upstream fails the sync instead, and the key comes back after its back-off, which begins with this.
LOOK_AGAIN_NS = 5 * MILLISECOND


@final
class OwnWrites:
    """The latest revision written for each owner, kind by kind."""

    def __init__(self, *informers: Informer) -> None:
        self._informers = {informer.kind.resource: informer for informer in informers}
        self._written: dict[Key, dict[str, int]] = {}

    def note(self, owner: Key, kind: Kind, written: Object) -> None:
        """A write for `owner` has been answered with this object."""
        revision = int(written["metadata"]["resourceVersion"])
        versions = self._written.setdefault(owner, {})
        versions[kind.resource] = max(revision, versions.get(kind.resource, 0))

    def is_behind(self, owner: Key) -> bool:
        """Whether an informer has yet to show a write for the owner; once none has, the writes are forgotten."""
        for resource, wrote in self._written.get(owner, {}).items():
            if int(self._informers[resource].resource_version) < wrote:
                return True
        self.forget(owner)
        return False

    def forget(self, owner: Key) -> None:
        """The owner is gone."""
        self._written.pop(owner, None)
