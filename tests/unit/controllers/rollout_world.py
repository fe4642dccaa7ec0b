"""A ManagerWorld with Deployments: Pods run and stop as on the cluster that was recorded, and every write is noted."""

from __future__ import annotations

import re
from pathlib import Path

from manager_world import ManagerWorld

from kubesim.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from kubesim.api.objects import annotations_of, controller_of
from kubesim.api.requests import Options, create, delete, get, patch
from kubesim.sim.loop import MILLISECOND

RECORDED = Path(__file__).with_name("recorded_rollouts")
BROKEN_IMAGE = "no-such-image"
_SHORT = {"fullyLabeledReplicas": "labeled", "replicas": "replicas"}
_COUNTS = (
    "replicas",
    "fullyLabeledReplicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
)
_SIGNS = {"True": "+", "False": "-", "Unknown": "?"}
_PREFIX = "deployment.kubernetes.io/"


def recorded_story(name):
    """The sections of a recording: {section: {object: [line, …]}}."""
    sections = {}
    for line in (RECORDED / f"{name}.txt").read_text().splitlines():
        if line.startswith("## "):
            section = sections[line[3:]] = {}
        elif line and not line.startswith("#"):
            subject, _, text = line.partition(": ")
            section.setdefault(subject, []).append(text)
    return sections


class RolloutWorld(ManagerWorld):
    """Pods become ready one by one 1.7 s after their creation, and end 0.2 s after their deletion, gone 0.4 s later."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.log = []
        self._names = {}
        self._ready_at = self._ended_at = 0
        self._ending = set()
        self.never_ready = set()
        self.plane.server.on_write = self._on_write

    # --- the user's part ---

    def deployment(self, replicas=3, name="web", image="app", value="1", labels=None, **spec):
        """Create a Deployment; `value` is an environment variable of its template."""
        labels = labels or {"app": name}
        container = {"name": "main", "image": image, "env": [{"name": "V", "value": value}]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
        return self.create(DEPLOYMENT, {"metadata": {"name": name}, "spec": body})

    def replica_set(self, replicas=3, name="web", labels=None, annotations=None, owners=None, template=None, **spec):
        """Create a ReplicaSet that nobody controls."""
        labels = labels or {"app": "web"}
        metadata = {"name": name, "labels": labels}
        if annotations:
            metadata["annotations"] = annotations
        if owners:
            metadata["ownerReferences"] = owners
        pod = template or {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "app"}]}}
        body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod, **spec}
        return self.create(REPLICA_SET, {"metadata": metadata, "spec": body})

    def change(self, name="web", **spec):
        """Merge something into a Deployment's spec."""
        return self.do(patch(DEPLOYMENT, "default", name, {"spec": spec}, "strategic"))

    def set_template(self, name="web", image="app", value="1"):
        """Give a Deployment another template."""
        container = {"name": "main", "image": image, "env": [{"name": "V", "value": value}]}
        return self.change(name, template={"spec": {"containers": [container]}})

    def scale(self, replicas, name="web"):
        """Resize through the scale subresource."""
        self.do(patch(DEPLOYMENT, "default", name, {"spec": {"replicas": replicas}}, "merge", "scale"))

    def drop(self, kind, name, policy):
        """Delete with a propagation policy."""
        self.do(delete(kind, "default", name, Options(propagation=policy)))

    # --- looking ---

    def web(self):
        """The Deployment web."""
        return self.do(get(DEPLOYMENT, "default", "web"))

    def sets(self, name="web"):
        """The ReplicaSets of a Deployment by revision: {1: …, 2: …}."""
        owned = [each for each in self._all(REPLICA_SET) if (controller_of(each) or {}).get("name") == name]
        return {int(annotations_of(each)[_PREFIX + "revision"]): each for each in owned}

    def sizes(self):
        """`spec.replicas` of the ReplicaSets of web, by revision."""
        return {revision: each["spec"]["replicas"] for revision, each in sorted(self.sets().items())}

    def pods(self):
        """All Pods, oldest first."""
        return self._all(POD)

    def condition(self, kind, obj=None):
        """Status, reason and message of a condition of the Deployment web, or of another object; None without it."""
        for each in (obj or self.web()).get("status", {}).get("conditions", ()):
            if each["type"] == kind:
                return each["status"], each["reason"], each["message"]
        return None

    def _all(self, kind):
        return list(self.plane.store.table(kind.resource).objects.values())

    def story(self):
        """What has been written since the last call: {object: [line, …]}, in the form of the recordings."""
        story = {}
        for subject, line in self.log:
            lines = story.setdefault(subject, [])
            if subject.endswith("events") or not lines or lines[-1] != line:
                lines.append(line)
        self.log.clear()
        return story

    # --- the kubelet's part ---

    def _on_write(self, write):
        self.writes.append(write)
        obj = write.obj
        if write.kind.kind in ("Deployment", "ReplicaSet"):
            name = obj["metadata"]["name"]
            subject = "deployment" if write.kind.kind == "Deployment" else self._shorten(name)
            self.log.append((subject, _line(obj, is_gone=self.get(write.kind, name) is None)))
        elif write.kind.kind == "Event" and obj["involvedObject"]["kind"] in ("Deployment", "ReplicaSet"):
            about = obj["involvedObject"]
            subject = "deployment" if about["kind"] == "Deployment" else self._shorten(about["name"])
            message = re.sub(
                r"\bweb-[a-z0-9]{5,10}(-[a-z0-9]{5})?\b", lambda found: self._shorten(found[0]), obj["message"]
            )
            self.log.append((f"{subject} events", f"{obj['type']} {obj['reason']} x{obj['count']}: {message}"))
        elif write.kind.kind == "Pod":
            self._run_pod(write.verb, obj)

    def _shorten(self, name):
        parts = name.split("-")
        if len(parts) < 2:
            return name
        short = self._names.setdefault("-".join(parts[:2]), f"rs{len(self._names) + 1}")
        return short + "-*" if len(parts) == 3 else short

    def _run_pod(self, verb, pod):
        name, now_ns = pod["metadata"]["name"], self.loop.now_ns
        if verb == "created":
            self.loop.post(8 * MILLISECOND, lambda _: self._if_there(name, self.bind), None)
            if pod["spec"]["containers"][0]["image"] != BROKEN_IMAGE and name not in self.never_ready:
                self._ready_at = max(now_ns + 1700 * MILLISECOND, self._ready_at + 300 * MILLISECOND)
                self.loop.post(self._ready_at - now_ns, lambda _: self._if_there(name, self.set_ready), None)
        elif "deletionTimestamp" in pod["metadata"] and name not in self._ending:
            self._ending.add(name)
            self._ended_at = max(now_ns + 200 * MILLISECOND, self._ended_at + 50 * MILLISECOND)
            self.loop.post(self._ended_at - now_ns, lambda _: self._end(name), None)

    def _if_there(self, name, act):
        pod = self.get(POD, name)
        if pod is not None and "deletionTimestamp" not in pod["metadata"]:
            act(name)

    def _end(self, name):
        if self.get(POD, name) is not None:
            self.patch(POD, name, {"status": {"phase": "Succeeded", "conditions": []}}, "status")
            self.loop.post(400 * MILLISECOND, lambda _: self._remove(name), None)

    def _remove(self, name):
        if self.get(POD, name) is not None:
            self.delete(POD, name, grace_s=0)


def _line(obj, *, is_gone):
    metadata, status = obj["metadata"], obj.get("status") or {}
    deleting = " ".join(metadata.get("finalizers", ())) if "deletionTimestamp" in metadata else ""
    head = f"{'gone ' if is_gone else ''}{f'deleting by {deleting} ' if deleting else ''}"
    paused = " paused" if obj["spec"].get("paused") else ""
    generations = f"gen={metadata['generation']}/{status.get('observedGeneration', '-')}"
    counts = [
        f"{_SHORT.get(field, field.removesuffix('Replicas'))}={status[field]}" for field in _COUNTS if field in status
    ]
    conditions = [f"{each['type']}{_SIGNS[each['status']]}({each['reason']})" for each in status.get("conditions", ())]
    notes = [
        f"{name.removeprefix(_PREFIX)}={value}"
        for name, value in sorted(annotations_of(obj).items())
        if name.startswith(_PREFIX)
    ]
    owned = " owned" if controller_of(obj) else ""
    parts = (f"{head}{generations} spec={obj['spec']['replicas']}{paused}", counts, conditions, notes)
    return " | ".join([parts[0], *(" ".join(part) or "-" for part in parts[1:])]) + owned


def create_pod(world, name, labels, **spec):
    """A Pod that nobody controls."""
    body = {"containers": [{"name": "main", "image": "app"}], **spec}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels}}
    return world.do(create(POD, {**pod, "spec": body}))


def refuse(world, error, *, verb, kind, times=10**9):
    """From now on the API server answers such requests with an error, so many times; returns the list of those refused."""
    handle = world.plane.server.handle
    refused = []

    def answer(request, identity, attempt=0):
        if request.verb == verb and request.kind is kind and len(refused) < times:
            refused.append(request)
            raise error
        return handle(request, identity, attempt)

    world.plane.server.handle = answer
    return refused
