"""Waiting until what was applied is ready, or gone: with what is still missing, and why as far as the cluster says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from adapters.applying import find
from adapters.connection import Connection
from kubesim.api.conditions import is_condition_true
from kubesim.api.kinds import EVENT
from kubesim.api.objects import Object
from kubesim.api.requests import Options, list_all
from kubesim.cluster.waiting import is_ready
from kubesim.manifests import Manifest
from kubesim.sim.loop import SECOND

_LOOK_S: Final = 0.5
_SELF_STARTING: Final = ("Deployment", "StatefulSet", "ReplicaSet", "Pod", "DaemonSet")
_EVENTS_SHOWN: Final = 5


class Unready(Exception):  # noqa: N818 - it is a finding
    """Something did not become ready in time; `lines` say what and why."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


async def wait_until_ready(
    connection: Connection, manifests: Sequence[Manifest], within_ns: int, show: Callable[[str], None]
) -> float:
    """Wait for every workload and Pod of the manifests; returns the seconds that it took. `show` gets the progress.

    Raises:
        Unready: not all are after that time.
    """
    start_s = time.monotonic()
    wanted = [manifest for manifest in manifests if manifest.kind.kind in _SELF_STARTING]
    while True:
        objects = [await find(connection, manifest) for manifest in wanted]
        states = [(manifest, *state_of(obj)) for manifest, obj in zip(wanted, objects, strict=True)]
        waited_s = time.monotonic() - start_s
        missing = [(manifest, state) for manifest, state, is_good in states if not is_good]
        if not missing:
            return waited_s
        shown = ", ".join(f"{manifest.object['metadata']['name']} {state}" for manifest, state in missing)
        show(f"{waited_s:5.1f} s  waiting for {shown}")
        if waited_s * SECOND >= within_ns:
            raise Unready(await _explain(connection, missing))
        await asyncio.sleep(_LOOK_S)


async def wait_until_gone(connection: Connection, manifests: Sequence[Manifest], within_ns: int) -> list[Manifest]:
    """Wait until the manifests' objects do not exist; returns those that still do after that time."""
    end_s = time.monotonic() + within_ns / SECOND
    left = list(manifests)
    while left and time.monotonic() < end_s:
        left = [manifest for manifest in left if await find(connection, manifest) is not None]
        if left:
            await asyncio.sleep(_LOOK_S)
    return left


def state_of(obj: Object | None) -> tuple[str, bool]:
    """What an object is at, in a few words, and whether that is what its manifest wants."""
    if obj is None:
        return "is not there", False
    status: dict[str, Any] = obj.get("status") or {}
    if "deletionTimestamp" in obj["metadata"]:
        return "is being deleted", False
    if obj["kind"] in ("Deployment", "StatefulSet", "ReplicaSet"):
        wanted = obj["spec"].get("replicas", 1)
        return f"{status.get('readyReplicas', 0)}/{wanted} ready", is_ready(obj)
    if obj["kind"] == "DaemonSet":
        wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
        return f"{ready}/{wanted} ready", ready == wanted and status.get("observedGeneration") is not None
    if obj["kind"] == "Pod":
        is_good = is_condition_true(status.get("conditions"), "Ready") or status.get("phase") == "Succeeded"
        return str(status.get("phase", "Pending")), is_good
    if obj["kind"] == "PersistentVolumeClaim":
        return str(status.get("phase", "Pending")), status.get("phase") == "Bound"
    return "is there", True


async def _explain(connection: Connection, missing: Sequence[tuple[Manifest, str]]) -> list[str]:
    """What is not ready, and the latest warnings about it and its Pods."""
    lines = [
        f"{manifest.kind.singular}/{manifest.object['metadata']['name']} is not ready: {state}"
        for manifest, state in missing
    ]
    spaces = dict.fromkeys(manifest.object["metadata"].get("namespace", "") for manifest, _ in missing)
    names = tuple(manifest.object["metadata"]["name"] for manifest, _ in missing)
    for space in spaces:
        options = Options(field_selector="type=Warning")
        events = (await connection.send(list_all(EVENT, space, options))).get("items") or ()
        about = [event for event in events if event["involvedObject"]["name"].startswith(names)]
        about.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        for event in about[-_EVENTS_SHOWN:]:
            involved = event["involvedObject"]
            lines.append(f"  {involved['kind'].lower()}/{involved['name']}: {event['reason']}: {event['message']}")
    return lines
