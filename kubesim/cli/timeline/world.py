"""What a narrator remembers of the objects while it reads a trace: their last state, and who belongs to whom."""

from __future__ import annotations

from typing import Any, final

from kubesim.api.objects import Object, controller_of


@final
class World:
    """The objects as the trace has shown them so far."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self._pods: dict[str, dict[str, Object]] = {}
        # The last failure of a probe, by Pod: why it is not Ready any more.
        self.probe_failures: dict[str, str] = {}
        # When each Pod's deletion was asked for, by its UID.
        self.marked_ns: dict[str, int] = {}

    def put(self, subject: str, obj: Object) -> Object | None:
        """An object is written; returns what it was before."""
        before = self.objects.get(subject)
        self.objects[subject] = obj
        owner = controller_of(obj) if obj["kind"] == "Pod" else None
        if owner is not None:
            self._pods.setdefault(owner["uid"], {})[obj["metadata"]["uid"]] = obj
        return before

    def remove(self, subject: str) -> None:
        """An object is gone."""
        obj = self.objects.pop(subject, None)
        owner = controller_of(obj) if obj is not None and obj["kind"] == "Pod" else None
        if obj is not None and owner is not None:
            self._pods.get(owner["uid"], {}).pop(obj["metadata"]["uid"], None)

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """The last known state of an object."""
        return self.objects.get(f"{kind}/{namespace}/{name}" if namespace else f"{kind}/{name}")

    def owner_of(self, obj: Object) -> Object | None:
        """The object that controls another."""
        owner = controller_of(obj)
        if owner is None:
            return None
        return self.find(owner["kind"].lower(), obj["metadata"]["namespace"], owner["name"])

    def pods_of(self, owner: Object) -> list[Object]:
        """The Pods that an object controls and that nobody has deleted."""
        pods = self._pods.get(owner["metadata"]["uid"], {}).values()
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def short(pod: Object) -> str:
    """A Pod's name without its workload's, where it is a random one: `4bnh6`; `postgres-0` stays."""
    owner = controller_of(pod)
    name: str = pod["metadata"]["name"]
    if owner is not None and owner["kind"] != "StatefulSet" and name.startswith(owner["name"] + "-"):
        return name[len(owner["name"]) + 1 :]
    return name


def family(pod: Object) -> str:
    """The name of what a Pod belongs to, for `3 Pods of …`; empty for one of its own."""
    owner = controller_of(pod)
    return str(owner["name"]) if owner is not None else ""


def condition(obj: Object | None, kind: str) -> Any:
    """The condition of a type, or an empty mapping."""
    for each in ((obj or {}).get("status") or {}).get("conditions") or ():
        if each["type"] == kind:
            return each
    return {}


def short_image(image: str) -> str:
    """An image's name as people say it: without the default registry, and with the first letters of a digest."""
    name, at, digest = image.removeprefix("docker.io/library/").partition("@sha256:")
    return f"{name}@sha256:{digest[:8]}…" if at else name
