"""From the watch stream of a namespace, recorded or simulated, to the facts that both must share.

A summary says, per object, which distinct states it went through and how long each lasted, and which Events there
were. What no two runs have in common is taken out: uids, addresses, times of day and the random parts of names, so
that the Pods of one ReplicaSet share a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, final

Object = dict[str, Any]
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ADDRESS = re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b")
CONTAINER = re.compile(r"\b[0-9a-f]{64}\b")
# What somebody else had in the recorded cluster.
FOREIGN = "validate-"
# The recorded machine had no way to a registry.
RESOLVING = re.compile(r"failed to resolve image: .*?(no such host|not found)")
RECORDED = (
    "pods",
    "deployments",
    "replicasets",
    "statefulsets",
    "controllerrevisions",
    "endpointslices",
    "endpoints",
    "persistentvolumeclaims",
    "persistentvolumes",
    "poddisruptionbudgets",
    "nodes",
)
LETTER = {"True": "+", "False": "-", "Unknown": "?"}


class Entry(NamedTuple):
    """One watch event."""

    seconds: float
    type: str
    resource: str
    object: Object


@final
class Names:
    """Gives names with random parts a common one, and takes everything random out of texts."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._labels: dict[tuple[str, str], str] = {}
        self._texts: dict[str, str] = {}
        revisions: dict[str, int] = {}
        for entry in entries:
            name = entry.object["metadata"]["name"]
            if (entry.resource, name) not in self._labels:
                label = self._labels[entry.resource, name] = self._label(entry, revisions)
                if label != name:
                    self._texts[name] = label
        pattern = "|".join(re.escape(name) for name in sorted(self._texts, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<![a-z0-9-])(?:{pattern})(?![a-z0-9-])") if pattern else None

    def _label(self, entry: Entry, revisions: dict[str, int]) -> str:
        metadata = entry.object["metadata"]
        name = str(metadata["name"])
        owners = metadata.get("ownerReferences") or ()
        if entry.resource == "replicasets" and owners:
            owner = owners[0]["name"]
            revisions[owner] = revisions.get(owner, 0) + 1
            return f"{owner}~{revisions[owner]}"
        if entry.resource == "pods" and owners and owners[0]["kind"] == "ReplicaSet":
            return str(self._texts.get(owners[0]["name"], owners[0]["name"])) + "~"
        if entry.resource == "endpointslices":
            return str((metadata.get("labels") or {}).get("kubernetes.io/service-name", name))
        if entry.resource == "persistentvolumes":
            claim = entry.object["spec"].get("claimRef")
            return f"pv~{claim['name']}" if claim and name.startswith("pvc-") else name
        return name

    def of(self, resource: str, name: str) -> str:
        """The common name of an object."""
        return self._labels.get((resource, name), name)

    def plain(self, text: str) -> str:
        """A text without what is random in it."""
        if self._pattern is not None:
            text = self._pattern.sub(lambda match: self._texts[match[0]], text)
        text = RESOLVING.sub("failed to resolve image", text)
        return CONTAINER.sub("<id>", ADDRESS.sub("<ip>", UID.sub("<uid>", text)))


def summarise(entries: list[Entry]) -> Object:
    """The facts of a run: `objects` by resource/name, each a list of histories, and `events` by object."""
    # The Pods of a ReplicaSet are named after it, whichever of several watches showed theirs first.
    named = [entry for entry in entries if entry.resource != "events"]
    names = Names(sorted(named, key=lambda entry: entry.resource != "replicasets"))
    histories: dict[tuple[str, str], list[list[Any]]] = {}
    last: dict[tuple[str, str], tuple[float, Object]] = {}
    for entry in entries:
        if entry.resource == "events":
            continue
        key = (entry.resource, entry.object["metadata"]["uid"])
        state = {"gone": True} if entry.type == "DELETED" else _state(entry, names)
        since, before = last.get(key, (0.0, {}))
        change = {field: value for field, value in state.items() if before.get(field) != value}
        if entry.type != "DELETED":
            change |= {field: None for field in before if field not in state}
        if not change:
            continue
        last[key] = (entry.seconds, state)
        histories.setdefault(key, []).append([round(entry.seconds - since, 1), change])
    objects: dict[str, list[Any]] = {}
    first = {(e.resource, e.object["metadata"]["uid"]): e.object["metadata"]["name"] for e in reversed(entries)}
    for key, history in histories.items():
        objects.setdefault(f"{key[0]}/{names.of(key[0], first[key])}", []).append(history)
    return {"objects": objects, "events": _events(entries, names)}


def _events(entries: list[Entry], names: Names) -> dict[str, list[list[Any]]]:
    events: dict[str, Object] = {}
    for entry in entries:
        if entry.resource == "events" and entry.type != "DELETED":
            events[entry.object["metadata"]["name"]] = entry.object
    found: dict[str, dict[tuple[str, ...], int]] = {}
    for event in events.values():
        involved = event["involvedObject"]
        resource = involved["kind"].lower() + ("" if involved["kind"].endswith("s") else "s")
        subject = f"{resource}/{names.of(resource, involved['name'])}"
        component = event.get("reportingComponent") or (event.get("source") or {}).get("component", "")
        container = involved.get("fieldPath", "")
        row = (component, event["type"], event["reason"], names.plain(event.get("message", "")), container)
        count = event.get("count") or (event.get("series") or {}).get("count") or 1
        rows = found.setdefault(subject, {})
        rows[row] = rows.get(row, 0) + count
    return {subject: [[*row, count] for row, count in rows.items()] for subject, rows in found.items()}


def _state(entry: Entry, names: Names) -> Object:
    obj, resource = entry.object, entry.resource
    metadata = obj["metadata"]
    state: Object = {}
    if "deletionTimestamp" in metadata:
        state["deleting"] = metadata.get("deletionGracePeriodSeconds", "yes")
    if resource in ("pods", "persistentvolumeclaims", "persistentvolumes") and metadata.get("finalizers"):
        state["finalizers"] = " ".join(sorted(metadata["finalizers"]))
    state |= _STATES[resource](obj, names)
    for condition in (obj.get("status") or {}).get("conditions") or ():
        state[condition["type"]] = _condition(condition, names, with_text=resource != "nodes")
    return state


def _condition(condition: Object, names: Names, *, with_text: bool) -> str:
    text = LETTER[condition["status"]]
    if condition.get("observedGeneration"):
        text += f"@{condition['observedGeneration']}"
    if condition.get("reason"):
        text += " " + condition["reason"]
    if with_text and condition.get("message"):
        text += ": " + names.plain(condition["message"])
    return text


def _pod(pod: Object, names: Names) -> Object:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    state: Object = {"gen": f"{metadata.get('generation')}/{status.get('observedGeneration', '')}"}
    state["phase"] = status.get("phase")
    for field in ("reason", "message", "nominatedNodeName"):
        if status.get(field):
            state[field] = names.plain(status[field])
    if pod["spec"].get("nodeName"):
        state["node"] = pod["spec"]["nodeName"]
    if status.get("podIP"):
        state["ip"] = True
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        name = container["name"]
        state[name] = _container_state(container.get("state") or {}, names)
        if container.get("lastState"):
            state[name + ".last"] = _container_state(container["lastState"], names)
        flags = [flag for flag in ("ready", "started") if container.get(flag)]
        state[name + ".is"] = " ".join([*flags, str(container.get("restartCount"))])
    return state


def _container_state(state: Object, names: Names) -> str:
    for kind, fields in state.items():
        words = [kind, fields.get("reason", "")]
        if "exitCode" in fields:
            words.append(str(fields["exitCode"]))
        if fields.get("message"):
            words.append(names.plain(fields["message"]).strip())
        return " ".join(word for word in words if word)
    return ""


def _workload(obj: Object, names: Names) -> Object:
    status = obj.get("status") or {}
    state: Object = {"gen": f"{obj['metadata'].get('generation')}/{status.get('observedGeneration', '')}"}
    state["spec"] = obj["spec"].get("replicas")
    for field, value in status.items():
        if field not in ("conditions", "observedGeneration"):
            state[field] = names.plain(value) if isinstance(value, str) else value
    return state


def _endpoint_slice(obj: Object, names: Names) -> Object:
    endpoints = []
    for endpoint in obj.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        words = [names.plain((endpoint.get("targetRef") or {}).get("name", "?"))]
        words += [word for word in ("ready", "serving", "terminating") if conditions.get(word)]
        if endpoint.get("hostname"):
            words.append("hostname=" + endpoint["hostname"])
        endpoints.append(" ".join(words))
    ports = [f"{port.get('name', '-')}:{port.get('port')}" for port in obj.get("ports") or ()]
    return {"ports": sorted(ports), "endpoints": sorted(endpoints)}


def _endpoints(obj: Object, names: Names) -> Object:
    state: dict[str, list[str]] = {"ready": [], "not ready": [], "ports": []}
    for subset in obj.get("subsets") or ():
        for field, key in (("addresses", "ready"), ("notReadyAddresses", "not ready")):
            for address in subset.get(field) or ():
                state[key].append(names.plain((address.get("targetRef") or {}).get("name", "?")))
        state["ports"] += [f"{port.get('name', '-')}:{port.get('port')}" for port in subset.get("ports") or ()]
    return {field: sorted(values) for field, values in state.items()}


def _claim(obj: Object, names: Names) -> Object:
    annotations = sorted(
        f"{name.rpartition('/')[2]}={names.plain(value)}"
        for name, value in (obj["metadata"].get("annotations") or {}).items()
        if "last-applied" not in name and not name.startswith("volume.beta")
    )
    owners = [f"{owner['kind']}/{owner['name']}" for owner in obj["metadata"].get("ownerReferences") or ()]
    return {
        "phase": (obj.get("status") or {}).get("phase"),
        "volume": names.plain(obj["spec"].get("volumeName", "")),
        "annotations": annotations,
        "owners": owners,
        "capacity": (obj.get("status") or {}).get("capacity"),
    }


def _volume(obj: Object, _: Names) -> Object:
    claim = obj["spec"].get("claimRef") or {}
    return {
        "phase": (obj.get("status") or {}).get("phase"),
        "claim": claim.get("name"),
        "claim uid": "uid" in claim,
        "policy": obj["spec"].get("persistentVolumeReclaimPolicy"),
    }


def _budget(obj: Object, _: Names) -> Object:
    status = obj.get("status") or {}
    state = {
        field: status.get(field) for field in ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
    }
    state["gen"] = f"{obj['metadata'].get('generation')}/{status.get('observedGeneration', '')}"
    state["disrupted"] = len(status.get("disruptedPods") or ())
    return state


def _node(obj: Object, _: Names) -> Object:
    taints = [
        f"{taint['key'].removeprefix('node.kubernetes.io/')}:{taint['effect']}"
        for taint in obj["spec"].get("taints") or ()
    ]
    return {"taints": sorted(taints), "unschedulable": bool(obj["spec"].get("unschedulable"))}


def _revision(obj: Object, _: Names) -> Object:
    return {"revision": obj["revision"], "owned": bool(obj["metadata"].get("ownerReferences"))}


_STATES = {
    "controllerrevisions": _revision,
    "pods": _pod,
    "deployments": _workload,
    "replicasets": _workload,
    "statefulsets": _workload,
    "endpointslices": _endpoint_slice,
    "endpoints": _endpoints,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "poddisruptionbudgets": _budget,
    "nodes": _node,
}


def is_of_namespace(resource: str, obj: Object, namespace: str) -> bool:
    """Whether an object belongs to a run in that namespace."""
    name: str = obj["metadata"]["name"]
    if resource == "persistentvolumes":
        owner: str = (obj["spec"].get("claimRef") or {"namespace": namespace})["namespace"]
        return not name.startswith(FOREIGN) and owner == namespace
    if resource == "nodes":
        return not name.startswith(FOREIGN)
    return bool(obj["metadata"].get("namespace") == namespace)
