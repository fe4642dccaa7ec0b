"""What a controller has written, and whether its caches have come that far: it does not sync an owner on older ones.

Expectations count Pods; this compares revisions, so that it also covers the owner's own status and reads that lag for
any other reason. Deletions carry no revision and are not waited for.
Upstream: pkg/controller/util/consistency/consistency.go @v1.36, on by default as
StaleControllerConsistencyReplicaSet and StaleControllerConsistencyStatefulSet
"""

from __future__ import annotations

from typing import final

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.client.informer import InformerFactory
from kubesim.controllers.base import NotYetError


@final
class WrittenRevisions:
    """The newest revision written per owner key and kind, forgotten once the informers have shown it."""

    __slots__ = ("_informers", "_written")

    def __init__(self, informers: InformerFactory) -> None:
        self._informers = informers
        self._written: dict[tuple[str, str], dict[Kind, int]] = {}

    def note(self, key: tuple[str, str], kind: Kind, written: Object) -> None:
        """An object was written on behalf of the owner `key`."""
        revision = int(written["metadata"]["resourceVersion"])
        revisions = self._written.get(key)
        if revisions is None:
            revisions = self._written[key] = {}
        if revision > revisions.get(kind, 0):
            revisions[kind] = revision

    def check(self, key: tuple[str, str]) -> None:
        """Pass if the informers have seen all that was written.

        Raises:
            NotYetError: they have not.
        """
        lag = self.lag(key)
        if lag:
            raise NotYetError(lag)

    def lag(self, key: tuple[str, str]) -> str:
        """What the informers have yet to see of what was written, or nothing; it is forgotten then."""
        revisions = self._written.get(key)
        if revisions is None:
            return ""
        for kind, written in revisions.items():
            read = self._informers.informer(kind).resource_version
            if int(read or 0) < written:
                lag = f"read version: {read} is not as new as written version: {written}"
                return f"{lag} for group resource {kind.resource}"
        del self._written[key]
        return ""

    def forget(self, key: tuple[str, str]) -> None:
        """The owner is gone; one of the same name starts afresh."""
        self._written.pop(key, None)
