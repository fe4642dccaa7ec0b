"""What a controller has written, against what its informers have seen: it must not decide on a past before its own acts.

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
from kubesim.errors import ApiError


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

    def check(self, owner: Key) -> None:
        """Forget the owner's writes, which have all been seen.

        Raises:
            ApiError: an informer is behind; the key is to come back after its back-off.
        """
        for resource, wrote in self._written.get(owner, {}).items():
            read = int(self._informers[resource].resource_version)
            if read < wrote:
                message = f"read version: {read} is not as new as written version: {wrote} for group resource {resource}"
                raise ApiError(409, "Conflict", message, kind=resource)
        self.forget(owner)

    def forget(self, owner: Key) -> None:
        """The owner is gone."""
        self._written.pop(owner, None)
