"""Who owns which field of every stored object: kept beside the objects, and worked out when somebody asks.

A write only notes a `Step`: who wrote what from what. The owners that follow from a chain of steps are computed when
`managedFields` are shown or an apply needs them, and then the chain is forgotten. What controllers see never has them.
Upstream keeps them in the object: apimachinery/pkg/util/managedfields/internal/fieldmanager.go @v1.36
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, final

import msgspec

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind

# `kubesim.api.ownership.managers.Owners`, which is imported when the first owners are worked out.
Owners = dict[Any, Any]
# A longer chain is shortened as it grows: writes of one writer become one step, others are worked out.
_CHAIN_MAX = 8
_NOTHING: Object = {}


class Wish(NamedTuple):
    """A write as its author meant it, before the server's strategies and admission had their say."""

    manager: str
    kind: Kind
    subresource: str
    wanted: Object
    at_ns: int


class Step(msgspec.Struct, gc=False):
    """What a write has done to the owners that `previous` tells: `wish` came over the stored `before` (empty: nothing).

    Once `owners` are known the rest is dropped; `entries` are they as the API shows them, once somebody has seen them.
    """

    previous: Step | None
    wish: Wish | None
    before: Object
    length: int = 1
    owners: Owners | None = None
    entries: list[Object] | None = None


@final
class FieldLedger:
    """The steps by the resourceVersion that they led to. What nobody can ask for any more is forgotten."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        # Versions that have been replaced, each after the revision that replaced it.
        self._replaced: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        """How many states of objects it knows the owners of."""
        return len(self._steps)

    def note(self, revision: int, obj: Object, by: Wish | Step | None, old: Object | None) -> None:
        """`obj` has been stored at `revision` in place of `old`: as wished, with owners that are known already, or
        (None) so that its fields keep their owners."""
        steps = self._steps
        version = obj["metadata"]["resourceVersion"]
        if old is None:
            if by is not None:
                steps[version] = by if type(by) is Step else Step(None, by, _NOTHING)  # type: ignore[arg-type]
            return
        replaced = old["metadata"]["resourceVersion"]
        self._replaced.append((revision, replaced))
        previous = steps.get(replaced)
        if type(by) is Wish:
            if previous is not None and previous.length >= _CHAIN_MAX:
                before = previous.wish
                if before is not None and before[:3] == by[:3]:
                    # One writer, again and again: its writes are one step.
                    previous.wish = by
                    steps[version] = previous
                    return
                work_out(previous)
            steps[version] = _behind(previous, by, old)
        elif by is not None:
            steps[version] = by  # type: ignore[assignment]
        elif previous is not None:
            steps[version] = previous

    def step(self, by: Wish, old: Object) -> Step:
        """The step of a wish over the stored `old` that is not, or not yet, stored."""
        return _behind(self._steps.get(old["metadata"]["resourceVersion"]), by, old)

    def shown_unstored(self, obj: Object, by: Wish | Step, old: Object | None) -> Object:
        """What would be stored in place of `old`, with its `managedFields`."""
        if type(by) is Wish:
            by = Step(None, by, _NOTHING) if old is None else self.step(by, old)
        return _shown_with(obj, by)  # type: ignore[arg-type]

    def gone(self, revision: int, obj: Object, last: Object) -> None:
        """An object was deleted at `revision`, as `obj` shows it; its last state was `last`."""
        self.note(revision, obj, None, last)
        self._replaced.append((revision, obj["metadata"]["resourceVersion"]))

    def forget(self, compacted: int) -> None:
        """History up to this revision is no more."""
        replaced = self._replaced
        while replaced and replaced[0][0] <= compacted:
            self._steps.pop(replaced.popleft()[1], None)

    def owners_of(self, obj: Object) -> Owners:
        """The owners of a stored object's fields."""
        step = self._steps.get(obj["metadata"]["resourceVersion"])
        return work_out(step) if step is not None else {}

    def keeps(self, by: Wish | Step, old: Object) -> bool:
        """Whether a known outcome leaves every field with its owner, whatever the times say.

        Upstream: handlers/fieldmanager/equality.go:IgnoreManagedFieldsTimestampsTransformer @v1.36
        """
        owners, before = (by.owners or {}) if type(by) is Step else {}, self.owners_of(old)
        return owners.keys() == before.keys() and all(
            owned.fields == before[manager].fields and owned.api_version == before[manager].api_version
            for manager, owned in owners.items()
        )

    def shown(self, obj: Object) -> Object:
        """A stored object as the API shows it, with `managedFields`; all of its items, if it is a list."""
        items = obj.get("items")
        if items is not None and obj["kind"].endswith("List"):
            return {**obj, "items": [self.shown(item) for item in items]}
        step = self._steps.get(obj["metadata"].get("resourceVersion", ""))
        return obj if step is None else _shown_with(obj, step)


def weighed(by: Wish, old: Object | None, given: Owners | None, owners: Owners | None) -> Wish | Step:
    """A wish; or its outcome where `owners` say it, or the client has put `given` in place of the present ones."""
    if owners is None:
        if given is None:
            return by
        owners = work_out(Step(_settled(given), by, _NOTHING if old is None else old))
    return _settled(owners)


def _settled(owners: Owners) -> Step:
    return Step(None, None, _NOTHING, 1, owners)


def _behind(previous: Step | None, by: Wish, old: Object) -> Step:
    length = 1 if previous is None or previous.owners is not None else previous.length + 1
    return Step(previous, by, old, length)


def _shown_with(obj: Object, step: Step) -> Object:
    """The object with the owners that a step leads to as its `managedFields`."""
    entries = step.entries
    if entries is None:
        from kubesim.api.ownership.wire import encode

        entries = step.entries = encode(work_out(step))
    return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}} if entries else obj


def work_out(step: Step) -> Owners:
    """The owners that a step leads to."""
    chain: list[Step] = []
    at: Step | None = step
    owners: Owners = {}
    while at is not None:
        if at.owners is not None:
            owners = at.owners
            break
        chain.append(at)
        at = at.previous
    for each in reversed(chain):
        owners = each.owners = _after(owners, each)
        each.previous = each.wish = None
        each.before = _NOTHING
        each.length = 1
    return owners


def _after(owners: Owners, step: Step) -> Owners:
    """Upstream: managedfields/internal/{fieldmanager.go:UpdateNoErrors, skipnonapplied.go:Update} @v1.36"""
    if step.wish is None or (not owners and step.before):
        return owners  # An object that is not tracked stays so until it is applied.
    from kubesim.apiserver.field_owning import update_owners

    return update_owners(owners, step.before, step.wish)
