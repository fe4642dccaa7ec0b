"""What writes to everything but Pods say to a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kubesim.api.objects import Object, controller_of
from kubesim.cli.timeline.line import Line
from kubesim.cli.timeline.world import World, condition, short, short_image
from kubesim.sim.trace import Record

_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_TAINTS: Final = {
    _UNREACHABLE: "unreachable",
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unschedulable": "unschedulable",
}
# Events that other lines tell already, or that only repeat.
_TOLD: Final = (
    "Unhealthy",
    "BackOff",
    "FailedScheduling",
    "NodeNotReady",
    "Failed",
    "Rebooted",
    "InvalidDiskCapacity",
    "ErrImageNeverPull",
)


def tell_node(record: Record, old: Object | None, node: Object) -> Iterator[Line]:
    """A node joins, is ready or not, is tainted or cordoned."""
    name = node["metadata"]["name"]
    now, before = condition(node, "Ready").get("status"), condition(old, "Ready").get("status")
    if now == "True" and before != "True":
        verb, verbs = ("joins", "join") if old is None else ("is Ready again", "are Ready again")
        yield Line(
            record.at_ns, record.actor, f"{name} {verb}", f"node-{verb}", name, "{n} nodes " + verbs + ": {items}"
        )
    elif before == "True" and now == "Unknown":
        text = f"has heard nothing from {name} for 50 s: it counts as not ready"
        yield Line(
            record.at_ns, record.actor, text, "node-unknown", name, "has heard nothing from {n} nodes for 50 s: {items}"
        )
    elif before == "True" and now == "False":
        yield Line(
            record.at_ns, record.actor, f"{name} is not ready", "node-false", name, "{n} nodes are not ready: {items}"
        )
    spec, old_spec = node["spec"], (old or {}).get("spec") or {}
    if old is not None and bool(spec.get("unschedulable")) != bool(old_spec.get("unschedulable")):
        verb = "cordons" if spec.get("unschedulable") else "uncordons"
        yield Line(record.at_ns, record.actor, f"{verb} {name}")
    if old is None:
        return
    known = {(taint["key"], taint["effect"]) for taint in old_spec.get("taints") or ()}
    for taint in spec.get("taints") or ():
        if taint["effect"] == "NoExecute" and (taint["key"], "NoExecute") not in known:
            what = _TAINTS.get(taint["key"], taint["key"])
            text = f"taints {name} as {what}: its Pods go when they have tolerated that, by default for 300 s"
            yield Line(
                record.at_ns, record.actor, text, f"taint/{what}", name, "taints {n} nodes as " + what + ": {items}"
            )


def tell_replica_set(world: World, record: Record, old: Object | None, obj: Object) -> Iterator[Line]:
    """A ReplicaSet is made or gets another size."""
    name, wanted = obj["metadata"]["name"], obj["spec"].get("replicas", 1)
    if record.verb == "deleted":
        return
    if old is None:
        if controller_of(obj) is None:
            return
        yield Line(record.at_ns, record.actor, f"makes ReplicaSet {name} for this version, {_pods(wanted)}")
        return
    before = old["spec"].get("replicas", 1)
    if before == wanted:
        return
    way = "up" if wanted > before else "down"
    why = _rollout_reason(world, obj, wanted < before)
    text = f"scales {name} {way} from {before} to {wanted}{why}"
    yield Line(record.at_ns, record.actor, text)


def _rollout_reason(world: World, replica_set: Object, is_down: bool) -> str:
    deployment = world.owner_of(replica_set)
    if deployment is None or not is_down:
        return ""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    ready, total = status.get("readyReplicas", 0), status.get("replicas", 0)
    return f": {ready} of {total} Pods are Ready, {wanted} are wanted" if total > wanted else ""


def _pods(count: int) -> str:
    return "1 Pod" if count == 1 else f"{count} Pods"


def tell_workload(record: Record, old: Object | None, obj: Object) -> Iterator[Line]:
    """A user changes a Deployment or StatefulSet, or its rollout comes to an end."""
    kind, name = obj["kind"], obj["metadata"]["name"]
    if old is None or record.verb == "deleted":
        return
    if record.actor == "user":
        yield from (Line(record.at_ns, "user", text) for text in _changes(kind, name, old["spec"], obj["spec"]))
    now, before = condition(obj, "Progressing"), condition(old, "Progressing")
    if now.get("reason") == "ProgressDeadlineExceeded" != before.get("reason"):
        yield Line(record.at_ns, record.actor, f"rollout of {name} makes no progress: {now.get('message', '')}")
    if kind == "Deployment" and _is_complete(obj) and not _is_complete(old) and _is_old_gone(old, obj):
        wanted = obj["spec"].get("replicas", 1)
        who = "its one Pod runs" if wanted == 1 else f"all {wanted} Pods run"
        yield Line(record.at_ns, record.actor, f"rollout of {name} is complete: {who} the new version")


def _changes(kind: str, name: str, old: Object, new: Object) -> Iterator[str]:
    if old.get("replicas") != new.get("replicas"):
        yield f"scales {kind} {name} from {old.get('replicas', 1)} to {new.get('replicas', 1)}"
    if old.get("paused") != new.get("paused"):
        yield f"{'pauses' if new.get('paused') else 'resumes'} the rollout of {name}"
    if old["template"] == new["template"]:
        return
    before = {each["name"]: each.get("image") for each in old["template"]["spec"]["containers"]}
    images = [
        f"{short_image(before.get(each['name']) or '(none)')} → {short_image(each.get('image', ''))}"
        for each in new["template"]["spec"]["containers"]
        if before.get(each["name"]) != each.get("image")
    ]
    yield f"gives {kind} {name} a new {'image: ' + ', '.join(images) if images else 'Pod template'}"


def _is_complete(obj: Object) -> bool:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    counts = [status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [wanted] * 3 and status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)


def _is_old_gone(old: Object, obj: Object) -> bool:
    """Whether what was missing before were not just ready Pods: a crash is no rollout."""
    status = old.get("status") or {}
    return bool(status.get("updatedReplicas", 0) != status.get("replicas", 0) and obj["spec"].get("replicas", 1) > 0)


def tell_claim(record: Record, old: Object | None, claim: Object) -> Iterator[Line]:
    """A claim is made or bound."""
    name = claim["metadata"]["name"]
    size = (((claim["spec"].get("resources") or {}).get("requests")) or {}).get("storage", "")
    if old is None:
        if record.actor != "user":
            yield Line(record.at_ns, record.actor, f"claims a volume of {size}: {name}")
        return
    if (claim.get("status") or {}).get("phase") == "Bound" != (old.get("status") or {}).get("phase"):
        volume = claim["spec"].get("volumeName", "")
        yield Line(record.at_ns, record.actor, f"gives {name} its volume {volume[:12]}… ({size})")


def tell_slice(world: World, record: Record, old: Object | None, obj: Object) -> Iterator[Line]:
    """Pods get into a Service or are taken out of it."""
    service = (obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
    if not service or record.verb == "deleted":
        return
    before, now = _serving(old), _serving(obj)
    tail = (
        f"{len(now)} Pod{'s' if len(now) != 1 else ''} get{'s' if len(now) == 1 else ''} its requests"
        if now
        else "no Pod gets its requests"
    )
    for verb, changed in (("out of", before.keys() - now.keys()), ("into", now.keys() - before.keys())):
        names = [_pod_name(world, obj, (before if verb == "out of" else now)[address]) for address in sorted(changed)]
        if not names:
            continue
        does = "takes" if verb == "out of" else "puts"
        many = f"{does} {{items}} {verb} Service {service}: {{tail}}"
        for name in names:
            text = f"{does} {name} {verb} Service {service}: {tail}"
            yield Line(record.at_ns, record.actor, text, f"slice/{service}/{does}", name, many, tail)


def _serving(obj: Object | None) -> dict[str, Any]:
    return {
        endpoint["addresses"][0]: endpoint
        for endpoint in (obj or {}).get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready")
    }


def _pod_name(world: World, obj: Object, endpoint: Any) -> str:
    reference = endpoint.get("targetRef") or {}
    name = str(reference.get("name", endpoint["addresses"][0]))
    pod = world.find("pod", obj["metadata"]["namespace"], name)
    return short(pod) if pod is not None else name


def tell_event(world: World, record: Record, event: Object) -> Iterator[Line]:
    """A warning that no other line tells."""
    involved = event["involvedObject"]
    if event["reason"] == "Unhealthy":
        world.probe_failures[f"{involved.get('namespace', '')}/{involved['name']}"] = (
            event["message"][:1].lower() + event["message"][1:]
        )
        if event["message"].startswith("Liveness") and event.get("count", 1) == 1:
            text = f"{involved['name']}: {world.probe_failures[involved.get('namespace', '') + '/' + involved['name']]}"
            yield Line(record.at_ns, record.actor, text, f"liveness/{involved['name']}", involved["name"], "")
        return
    if event["type"] == "Warning" and event["reason"] not in _TOLD and event.get("count", 1) == 1:
        what = f"{involved['kind']} {involved['name']}"
        yield Line(record.at_ns, record.actor, f"warns about {what}, {event['reason']}: {event['message'][:160]}")
