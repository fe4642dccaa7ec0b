"""The graph of owner references: who made what, and what the garbage collector may take away."""

from __future__ import annotations

from typing import final

from kubesim.api.kinds import find_kind
from kubesim.api.objects import Object, controller_of, labels_of
from kubesim.api.selectors import compile_selector
from kubesim.apiserver.server import Write
from kubesim.checks.invariant import Scene, is_removal, subject_of

_GARBAGE_COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
_FOREGROUND = "foregroundDeletion"


@final
class OwnersExist:
    """Upstream: pkg/controller/garbagecollector/garbagecollector.go:attemptToDeleteItem @v1.36, which asks the API for
    every owner that it believes absent before it deletes what that owned."""

    name = "ownersExist"
    promise = (
        "What has an owner has one that existed when it was said, and one controller at most, which selects it; "
        "the garbage collector takes nothing whose owner is there to stay."
    )

    def __init__(self) -> None:
        # Every UID there ever was; the value says that the object is there, None that it goes with its dependents.
        self._there: dict[str, bool | None] = {}

    def attach(self, scene: Scene) -> None:
        """Know all objects."""
        self._scene = scene
        for table in scene.cluster.store.tables.values():
            for obj in table.objects.values():
                self._there[obj["metadata"]["uid"]] = True
        scene.on_any_write(self._handle)

    def _handle(self, write: Write) -> None:
        obj, previous = write.obj, write.previous
        metadata = obj["metadata"]
        if previous is not None and not is_removal(write):
            before = previous["metadata"]
            if "deletionTimestamp" in metadata and "deletionTimestamp" not in before:
                self._there[metadata["uid"]] = None if _FOREGROUND in (metadata.get("finalizers") or ()) else True
                if write.identity.user == _GARBAGE_COLLECTOR:
                    self._check_collected(obj)
            if metadata.get("ownerReferences") is before.get("ownerReferences"):
                return
            if metadata.get("ownerReferences") != before.get("ownerReferences"):
                self._check_adoption(previous, obj)
        elif previous is None:
            self._there[metadata["uid"]] = True
        else:
            self._there[metadata["uid"]] = False
            if write.identity.user == _GARBAGE_COLLECTOR and "deletionTimestamp" not in metadata:
                self._check_collected(obj)
            return
        if metadata.get("ownerReferences"):
            self._check_references(obj)

    def _check_references(self, obj: Object) -> None:
        controllers = 0
        for reference in obj["metadata"]["ownerReferences"]:
            controllers += bool(reference.get("controller"))
            if reference["uid"] not in self._there:
                text = f"has an owner that never existed: {reference['kind']} {reference['name']} of that UID"
                self._scene.report(self.name, subject_of(obj), text)
        if controllers > 1:
            self._scene.report(self.name, subject_of(obj), f"has {controllers} controllers")

    def _check_adoption(self, before: Object, obj: Object) -> None:
        """Whether a controller that takes an object is entitled to it."""
        new, old = controller_of(obj), controller_of(before)
        if new is None or (old is not None and old["uid"] == new["uid"]):
            return
        if old is not None:
            text = f"is taken from {old['kind']} {old['name']} by {new['kind']} {new['name']}"
            self._scene.report(self.name, subject_of(obj), text)
        kind = find_kind(new["apiVersion"], new["kind"])
        key = (obj["metadata"]["namespace"], new["name"])
        owner = self._scene.cluster.store.get(kind.resource, key) if kind is not None else None
        selector = (owner or {}).get("spec", {}).get("selector")
        if selector is not None and not compile_selector(selector)(labels_of(obj)):
            text = f"is adopted by {new['kind']} {new['name']}, which does not select it"
            self._scene.report(self.name, subject_of(obj), text)

    def _check_collected(self, obj: Object) -> None:
        for reference in obj["metadata"].get("ownerReferences") or ():
            if self._there.get(reference["uid"]):
                text = f"is collected although its owner is there: {reference['kind']} {reference['name']}"
                self._scene.report(self.name, subject_of(obj), text)
