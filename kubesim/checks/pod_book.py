"""All Pods as invariants want to ask for them: by UID and by controller, with since when they are as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from kubesim.api.objects import Object
from kubesim.apiserver.server import Write
from kubesim.checks.looking import FINISHED, controller_uid, is_ready
from kubesim.sim.loop import Loop

_NEVER: Final = -(1 << 62)


@final
class PodEntry:
    """A Pod as last written. An instant is the last one at which something was so: now while it is, `_NEVER` if never.

    `ready_until_ns` and `unready_until_ns` are about the Ready condition, `active_until_ns` about being wanted:
    neither finished nor asked to go. `ready_since_ns` is the last time at which it became ready.
    """

    __slots__ = (
        "_loop",
        "deleted_by",
        "evicted_ns",
        "is_active",
        "is_ready",
        "is_there",
        "owner",
        "pod",
        "ready_since_ns",
        "since_active_ns",
        "since_ready_ns",
        "uid",
    )

    def __init__(self, loop: Loop, pod: Object) -> None:
        self._loop = loop
        self.uid: str = pod["metadata"]["uid"]
        self.pod = pod
        self.owner = controller_uid(pod)
        self.is_there = True
        self.is_ready = False
        self.is_active = True
        self.since_ready_ns = _NEVER
        self.since_active_ns = loop.now_ns
        self.ready_since_ns = _NEVER
        self.evicted_ns = _NEVER
        # Who first asked for its deletion, as a user name.
        self.deleted_by = ""
        self.put(pod)

    def put(self, pod: Object) -> None:
        """The Pod has been written."""
        now_ns = self._loop.now_ns
        self.pod = pod
        ready = is_ready(pod)
        if ready != self.is_ready:
            self.is_ready = ready
            self.since_ready_ns = now_ns
            if ready:
                self.ready_since_ns = now_ns
        active = "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") not in FINISHED
        if active != self.is_active:
            self.is_active = active
            self.since_active_ns = now_ns

    def was_ready_within(self, span_ns: int) -> bool:
        """Whether the Pod is ready, or was until less than `span_ns` ago."""
        return self.is_ready or (self.ready_since_ns != _NEVER and self._loop.now_ns - self.since_ready_ns <= span_ns)

    def was_active_within(self, span_ns: int) -> bool:
        """Whether the Pod is wanted, or was until less than `span_ns` ago."""
        return self.is_active or self._loop.now_ns - self.since_active_ns <= span_ns

    def has_been_unready(self, span_ns: int) -> bool:
        """Whether the Pod has not been ready for longer than `span_ns`."""
        return not self.was_ready_within(span_ns) and (self.since_ready_ns != _NEVER or self.age_ns > span_ns)

    @property
    def age_ns(self) -> int:
        """How long ago the Pod was last seen to change between wanted and not; since its creation at first."""
        return self._loop.now_ns - self.since_active_ns


@final
class PodBook:
    """Every Pod there is, and the last ones that are gone."""

    def __init__(self, loop: Loop, pods: Iterator[Object]) -> None:
        self._loop = loop
        self.by_uid: dict[str, PodEntry] = {}
        self._by_owner: dict[str, dict[str, PodEntry]] = {}
        self._by_address: dict[str, PodEntry] = {}
        # (when it went, the Pod)
        self._gone: list[tuple[int, PodEntry]] = []
        for pod in pods:
            self._put(pod)

    def handle(self, write: Write) -> None:
        """Note a write of a Pod."""
        if write.verb == "deleted" and write.previous is write.obj:
            self._remove(write.obj)
            return
        self._put(write.obj)
        if write.verb == "deleted":
            entry = self.by_uid[write.obj["metadata"]["uid"]]
            entry.deleted_by = entry.deleted_by or write.identity.user

    def _put(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        entry = self.by_uid.get(uid)
        if entry is None:
            entry = self.by_uid[uid] = PodEntry(self._loop, pod)
            self._by_owner.setdefault(entry.owner, {})[uid] = entry
        else:
            owner = entry.owner
            if pod["metadata"].get("ownerReferences") is not entry.pod["metadata"].get("ownerReferences"):
                owner = controller_uid(pod)
            entry.put(pod)
            if owner != entry.owner:
                self._by_owner[entry.owner].pop(uid, None)
                entry.owner = owner
                self._by_owner.setdefault(owner, {})[uid] = entry
        address = (pod.get("status") or {}).get("podIP")
        if address and entry.is_active:
            self._by_address[address] = entry

    def _remove(self, pod: Object) -> None:
        entry = self.by_uid.pop(pod["metadata"]["uid"], None)
        if entry is not None:
            if entry.is_active:
                entry.is_active = False
                entry.since_active_ns = self._loop.now_ns
            if entry.is_ready:
                entry.is_ready = False
                entry.since_ready_ns = self._loop.now_ns
            entry.is_there = False
            self._by_owner[entry.owner].pop(entry.uid, None)
            self._gone.append((self._loop.now_ns, entry))
            if len(self._gone) > 1000:
                del self._gone[:500]

    def at(self, address: str) -> PodEntry | None:
        """The Pod that last had this address."""
        return self._by_address.get(address)

    def of(self, owner_uid: str) -> Iterator[PodEntry]:
        """The Pods that a controller has."""
        return iter(self._by_owner.get(owner_uid, {}).values())

    def gone(self, span_ns: int) -> Iterator[PodEntry]:
        """The Pods that were there until less than `span_ns` ago."""
        since_ns = self._loop.now_ns - span_ns
        for at_ns, entry in reversed(self._gone):
            if at_ns < since_ns:
                break
            yield entry

    def all(self) -> Iterator[PodEntry]:
        """All Pods that there are."""
        return iter(self.by_uid.values())
