"""What a write to a Pod says to a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kubesim.api.objects import Object, controller_of
from kubesim.cli.timeline.line import Line
from kubesim.cli.timeline.world import World, condition, family, short, short_image
from kubesim.sim.loop import SECOND
from kubesim.sim.trace import Record

# Waiting reasons that are nothing but the way to running.
_ON_THE_WAY: Final = ("", "ContainerCreating", "PodInitializing")


def tell_pod(world: World, record: Record, old: Object | None, pod: Object) -> Iterator[Line]:
    """The lines for one write."""
    if record.verb == "deleted":
        yield from _deleted(world, record, old, pod)
        return
    if old is None:
        if record.actor == "user":
            return
        yield _created(world, record, pod)
        return
    if record.verb == "bound":
        node = pod["spec"]["nodeName"]
        yield _about(
            record,
            pod,
            "place",
            f"puts {_name(pod)} on {node}",
            "puts {n} Pods of %s on nodes: {items}",
            f"{short(pod)} on {node}",
        )
        return
    if "deletionTimestamp" in pod["metadata"] and "deletionTimestamp" not in old["metadata"]:
        world.marked_ns[pod["metadata"]["uid"]] = record.at_ns
        yield _marked(world, record, pod)
    yield from _ownership(record, old, pod)
    yield from _scheduling(record, old, pod)
    yield from _containers(record, old, pod)
    yield from _readiness(world, record, old, pod)


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _about(record: Record, pod: Object, group: str, text: str, many: str, item: str = "") -> Line:
    of = family(pod)
    many = many.replace("%s", of) if of else many.replace(" of %s", "")
    return Line(record.at_ns, record.actor, text, f"{group}/{of}", item or short(pod), many)


def _created(world: World, record: Record, pod: Object) -> Line:
    owner = world.owner_of(pod)
    why = ""
    if owner is not None:
        wanted = owner["spec"].get("replicas", 1)
        others = len(world.pods_of(owner)) - 1
        why = f": its {owner['kind']} wants {wanted} and has {others}" if others < wanted else ""
        wants = f" ({owner['metadata']['name']} wants {wanted})"
        return _about(record, pod, "create", f"makes {_name(pod)}{why}", "makes {n} Pods: {items}" + wants)
    return _about(record, pod, "create", f"makes {_name(pod)}", "makes {n} Pods: {items}")


def _ownership(record: Record, old: Object, pod: Object) -> Iterator[Line]:
    before, now = controller_of(old), controller_of(pod)
    name = _name(pod)
    if before is None and now is not None:
        text = f"adopts {name}, which {now['kind']} {now['name']} selects"
        yield Line(record.at_ns, record.actor, text, f"adopt/{now['name']}", name, "adopts {n} Pods: {items}")
    elif before is not None and now is None:
        of = f"{before['kind']} {before['name']}"
        many = "lets go of {n} Pods of " + of + ": {items}"
        yield Line(record.at_ns, record.actor, f"lets go of {name} of {of}", f"let-go/{of}", name, many)


def _marked(world: World, record: Record, pod: Object) -> Line:
    name = _name(pod)
    if record.actor == "taint-eviction-controller":
        node = pod["spec"].get("nodeName", "")
        text = f"deletes {name}: the time it tolerates on a node like {node} is over"
        return _about(
            record, pod, "evict", text, "deletes {n} Pods of %s whose time on an unreachable node is over: {items}"
        )
    owner = world.owner_of(pod)
    if record.detail == "eviction":
        return _about(record, pod, "evicted", f"evicts {name}", "evicts {n} Pods of %s: {items}")
    why = ""
    if owner is not None and record.actor.endswith("-controller"):
        wanted = owner["spec"].get("replicas", 1)
        left = len(world.pods_of(owner))
        why = f": its {owner['kind']} wants {wanted} now" if left >= wanted else ": it is of an old version"
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    time = f" (grace {grace} s)" if grace is not None and not why else ""
    return _about(record, pod, "delete", f"deletes {name}{why}{time}", "deletes {n} Pods of %s: {items}")


def _deleted(world: World, record: Record, old: Object | None, pod: Object) -> Iterator[Line]:
    marked_ns = world.marked_ns.get(pod["metadata"]["uid"])
    if marked_ns is None:
        yield _marked(world, record, pod)
    elif record.actor.startswith("kubelet/"):
        took = (record.at_ns - marked_ns) / SECOND
        text = f"stopped {_name(pod)}, {took:.0f} s after its deletion"
        yield _about(record, pod, "stopped", text, "stopped {n} Pods of %s: {items}")
    elif record.actor == "user" or (old or pod)["spec"].get("nodeName"):
        yield _about(record, pod, "removed", f"removes {_name(pod)}", "removes {n} Pods of %s: {items}")


def _scheduling(record: Record, old: Object, pod: Object) -> Iterator[Line]:
    now, before = condition(pod, "PodScheduled"), condition(old, "PodScheduled")
    if now.get("status") == "False" and now.get("message") != before.get("message"):
        message = str(now.get("message", "")).partition(". ")[0]
        text = f"finds no node for {_name(pod)}: {message}"
        yield _about(record, pod, f"unplaced/{message}", text, "finds no node for {n} Pods of %s ({items}): " + message)


def _statuses(pod: Object) -> Iterator[tuple[str, Object]]:
    status = pod.get("status") or {}
    for field in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(field) or ():
            yield each["name"], each


def _containers(record: Record, old: Object, pod: Object) -> Iterator[Line]:
    before = dict(_statuses(old))
    for name, status in _statuses(pod):
        was = before.get(name) or {}
        state, old_state = status.get("state") or {}, was.get("state") or {}
        ended = _ending(state, status, old_state, was)
        # A container that is told to end, and one that is there to end, say nothing new by ending well.
        is_expected = "deletionTimestamp" in pod["metadata"] or name in _initial(pod)
        if ended is not None and not (is_expected and ended.get("exitCode") == 0):
            yield _ended(record, pod, name, ended)
        if "running" in state and state != old_state and (name not in _initial(pod) or status.get("restartCount")):
            yield _started(record, pod, name, status)
        waiting = (state.get("waiting") or {}).get("reason", "")
        if waiting not in _ON_THE_WAY and waiting != (old_state.get("waiting") or {}).get("reason", ""):
            message = str(state["waiting"].get("message", "")).partition(" pod=")[0]
            text = f"{_name(pod)} waits, {waiting}: {message}" if message else f"{_name(pod)} waits: {waiting}"
            yield _about(record, pod, f"wait/{waiting}", text, "{n} Pods of %s wait, " + waiting + ": {items}")


def _initial(pod: Object) -> tuple[str, ...]:
    """The names of the init containers that must end before the others start."""
    containers = pod["spec"].get("initContainers") or ()
    return tuple(each["name"] for each in containers if each.get("restartPolicy") != "Always")


def _ending(state: Any, status: Object, old_state: Any, was: Object) -> Any:
    """How a container has ended since the status before, or None where it has not."""
    now = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    before = old_state.get("terminated") or (was.get("lastState") or {}).get("terminated")
    if now is None or (before is not None and before.get("containerID") == now.get("containerID")):
        return None
    return now


def _ended(record: Record, pod: Object, name: str, ended: Any) -> Line:
    code, reason = ended.get("exitCode", 0), ended.get("reason", "")
    how = {"OOMKilled": "killed: out of memory", "Completed": "completed"}.get(reason, f"exit code {code}")
    if reason == "Error" and code == 137:
        how = "killed, exit code 137"
    policy = "it stays so (restartPolicy Never)" if pod["spec"].get("restartPolicy") == "Never" else ""
    tail = f"; {policy}" if policy else ""
    text = f"found container {name} of {_name(pod)} ended ({how}){tail}"
    return _about(record, pod, f"ended/{how}", text, "found containers of {n} Pods of %s ended (" + how + "): {items}")


def _started(record: Record, pod: Object, name: str, status: Object) -> Line:
    restarts = status.get("restartCount", 0)
    if restarts:
        text = f"restarted container {name} of {_name(pod)} in place, restart {restarts}"
        return _about(
            record, pod, f"restart/{restarts}", text, "restarted containers of {n} Pods of %s in place: {items}"
        )
    image = short_image(status.get("image", ""))
    text = f"started {_name(pod)} ({image})"
    return _about(record, pod, "start", text, "started {n} Pods of %s (" + image + "): {items}")


def _readiness(world: World, record: Record, old: Object, pod: Object) -> Iterator[Line]:
    now, before = condition(pod, "Ready").get("status"), condition(old, "Ready").get("status")
    name = _name(pod)
    if now == before or (before is None and now != "True"):
        return
    if now == "True":
        yield _about(record, pod, "ready", f"{name} is Ready", "{n} Pods of %s are Ready: {items}")
        return
    if record.actor == "node-controller":
        text = f"marks {name} not Ready, as its node is"
        yield _about(record, pod, "unready-node", text, "marks {n} Pods of %s not Ready, as their nodes are: {items}")
        return
    is_running = all("running" in (status.get("state") or {}) for _, status in _statuses(pod))
    if "deletionTimestamp" in pod["metadata"] or not is_running:
        return
    why = world.probe_failures.get(f"{pod['metadata']['namespace']}/{name}", "")
    text = f"{name} is not Ready any more{': ' + why if why else ''}"
    yield _about(
        record, pod, "unready", text, "{n} Pods of %s are not Ready any more: {items}" + (f" ({why})" if why else "")
    )
