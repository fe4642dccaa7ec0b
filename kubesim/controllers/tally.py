"""Counts of each controller's Pods, kept up to date event by event.

A ReplicaSet's status is a handful of counts over all its Pods, and every change of a Pod makes it be computed again.
Counting anew would cost a large ReplicaSet the square of its size; a tally costs each event the same.
Pods are counted by their labels, of which one controller's Pods have one or very few sets, so that what depends on a
selector or on the template's labels is decided once per set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, final

from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object, new_tuple
from kubesim.client.informer import Informer
from kubesim.controllers.pods import ready_condition

_FINISHED = ("Succeeded", "Failed")


@final
class Group:
    """The counts of one controller's Pods with one set of labels."""

    __slots__ = ("active", "key", "labels", "owner", "pods", "ready", "terminating")

    def __init__(self, owner: str, key: tuple[tuple[str, str], ...], labels: Mapping[str, str]) -> None:
        self.owner = owner
        self.key = key
        self.labels = labels
        self.pods = 0
        self.active = 0
        self.ready = 0
        self.terminating = 0


def _label_key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


_key_of = IdentityMemo(_label_key, 4096)
_NO_LABELS: Mapping[str, str] = {}


class _Counted(NamedTuple):
    """How one Pod is counted."""

    group: Group
    active: bool
    ready: bool
    terminating: bool


def _judged(group: Group, pod: Object) -> _Counted:
    is_unfinished = pod["status"].get("phase") not in _FINISHED
    is_going = "deletionTimestamp" in pod["metadata"]
    is_active = is_unfinished and not is_going
    is_ready = is_active and ready_condition(pod) is not None
    return new_tuple(_Counted, (group, is_active, is_ready, is_unfinished and is_going))


@final
class PodTally:
    """Groups by controller UID, fed by the Pods' informer."""

    def __init__(self, informer: Informer) -> None:
        self._groups: dict[str, dict[tuple[tuple[str, str], ...], Group]] = {}
        self._counted: dict[str, _Counted] = {}
        informer.add_handler(self._count, self._recount, self._forget)

    def groups(self, uid: str) -> Collection[Group]:
        """The groups of a controller's Pods."""
        groups = self._groups.get(uid)
        return () if groups is None else groups.values()

    def _recount(self, old: Object, new: Object) -> None:
        metadata, before = new["metadata"], old["metadata"]
        counted = self._counted.get(metadata["uid"])
        if (
            counted is None
            or metadata.get("ownerReferences") is not before.get("ownerReferences")
            or metadata.get("labels") is not before.get("labels")
        ):
            self._count(new)
        elif counted != (again := _judged(counted.group, new)):
            # It stays in its group, which must not be dropped in between.
            counted.group.pods += 1
            self._take(counted)
            self._put(metadata["uid"], again)

    def _count(self, pod: Object) -> None:
        metadata = pod["metadata"]
        uid = metadata["uid"]
        before = self._counted.pop(uid, None)
        owner = ""
        for reference in metadata.get("ownerReferences") or ():
            if reference.get("controller"):
                owner = reference["uid"]
        if owner:
            self._put(uid, _judged(self._group(owner, metadata.get("labels") or _NO_LABELS), pod))
        if before is not None:
            self._take(before)

    def _put(self, uid: str, counted: _Counted) -> None:
        self._counted[uid] = counted
        group, active, ready, terminating = counted
        group.active += active
        group.ready += ready
        group.terminating += terminating

    def _group(self, owner: str, labels: Mapping[str, str]) -> Group:
        groups = self._groups.get(owner)
        if groups is None:
            groups = self._groups[owner] = {}
        key = _key_of(labels)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(owner, key, labels)
        group.pods += 1
        return group

    def _take(self, counted: _Counted) -> None:
        group, active, ready, terminating = counted
        group.active -= active
        group.ready -= ready
        group.terminating -= terminating
        group.pods -= 1
        if not group.pods:
            groups = self._groups[group.owner]
            del groups[group.key]
            if not groups:
                del self._groups[group.owner]

    def _forget(self, pod: Object) -> None:
        counted = self._counted.pop(pod["metadata"]["uid"], None)
        if counted is not None:
            self._take(counted)
