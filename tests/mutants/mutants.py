"""Forty ways of getting Kubernetes wrong, each a small change of one of our own components, and what is broken by it."""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """In this module, this text (there exactly once) becomes that one."""

    module: str
    old: str
    new: str


class Mutant(NamedTuple):
    """A name, the sentence of what is broken, and the edits that break it."""

    name: str
    broken: str
    edits: tuple[Edit, ...]


def _mutant(name: str, broken: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(name, broken, tuple(Edit(*edit) for edit in edits))


_DEPLOYMENT = "kubesim.controllers.deployment"
_SCALE = "kubesim.controllers.deployment_scale"
_DEPLOYMENT_STATUS = "kubesim.controllers.deployment_status"
_REPLICASET = "kubesim.controllers.replicaset"
_TALLY = "kubesim.controllers.tally"
_STATEFULSET = "kubesim.controllers.statefulset"
_STATEFUL_PLAN = "kubesim.controllers.statefulset_plan"
_STATEFUL_PODS = "kubesim.controllers.stateful_pods"
_ENDPOINTS = "kubesim.controllers.endpointslice_endpoints"
_SERVICE_PODS = "kubesim.controllers.service_pods"
_DISRUPTION = "kubesim.controllers.disruption"
_COLLECTOR = "kubesim.controllers.garbage_collector"
_GRAPH = "kubesim.controllers.dependency_graph"
_NODES = "kubesim.controllers.node_lifecycle"
_TAINTS = "kubesim.controllers.taint_eviction"
_BINDER = "kubesim.controllers.persistent_volume_binder"
_SCHEDULER = "kubesim.scheduler.scheduler"
_STATUS = "kubesim.node.status"
_ACTING = "kubesim.node.acting"
_WORKER = "kubesim.node.pod_worker"
_WRITER = "kubesim.node.status_writer"
_KUBELET = "kubesim.node.kubelet"
_PLAN = "kubesim.node.plan"

MUTANTS = (
    # --- Deployment ---
    _mutant(
        "surgeByOne",
        "maxSurge is off by one: a rollout has one Pod too many",
        (_SCALE, "return _fenceposts(deployment)[0] if", "return _fenceposts(deployment)[0] + 1 if"),
    ),
    _mutant(
        "unavailableByOne",
        "maxUnavailable is off by one: a rollout takes one available Pod too many",
        (
            _SCALE,
            "return min(_fenceposts(deployment)[1], desired)",
            "return min(_fenceposts(deployment)[1] + 1, desired)",
        ),
    ),
    _mutant(
        "newStartsWhole",
        "the new ReplicaSet gets all replicas at once, whatever surge allows",
        (_SCALE, "min(allowed - current, desired - replicas_of(new))", "desired - replicas_of(new)"),
    ),
    _mutant(
        "unreadyCountAsAvailable",
        "old ReplicaSets shrink by what exists, not by what is available",
        (_SCALE, 'spare = status_sum([*old, new], "availableReplicas")', 'spare = status_sum([*old, new], "replicas")'),
    ),
    _mutant(
        "recreateDoesNotWait",
        "Recreate starts new Pods while old ones still run",
        (_DEPLOYMENT, "        if self._old_pods_running(rollout):\n", "        if False:\n"),
    ),
    _mutant(
        "missedReplicaSets",
        "the Deployment controller is not woken by updates of its ReplicaSets",
        (_DEPLOYMENT, "            return\n        self._on_rs_add(new)\n", "            return\n"),
    ),
    _mutant(
        "availableEarly",
        "a Deployment's status counts Pods as available once they exist",
        (
            _DEPLOYMENT_STATUS,
            'available = status_sum(replica_sets, "availableReplicas")',
            'available = status_sum(replica_sets, "replicas")',
        ),
    ),
    _mutant(
        "availableIgnoresUnavailability",
        "the Available condition asks for one Pod less than promised",
        (
            _DEPLOYMENT_STATUS,
            "if available >= replicas_of(deployment) - max_unavailable(deployment):",
            "if available >= replicas_of(deployment) - max_unavailable(deployment) - 1:",
        ),
    ),
    # --- ReplicaSet ---
    _mutant(
        "onePodTooMany",
        "a ReplicaSet that lacks Pods creates one more than it lacks",
        (
            _REPLICASET,
            "self._create_pods(key, replica_set, min(diff, BURST_REPLICAS))",
            "self._create_pods(key, replica_set, min(diff + 1, BURST_REPLICAS))",
        ),
    ),
    _mutant(
        "droppedExpectations",
        "nothing remembers the Pods that were asked for and have not been seen yet",
        (_REPLICASET, "        self._expectations.expect_creations(key, count)\n", ""),
        (_REPLICASET, "                    self._written.note(key, POD, reply)\n", ""),
        (_REPLICASET, "            self._written.note(key, REPLICA_SET, written)\n", "            pass\n"),
    ),
    _mutant(
        "readyVictimsFirst",
        "a ReplicaSet that shrinks takes ready Pods before those that are not",
        (
            "kubesim.controllers.victims",
            "        ready is not None,\n        cost,",
            "        ready is None,\n        cost,",
        ),
    ),
    _mutant(
        "readyEarly",
        "a ReplicaSet's status counts Pods as ready once they exist",
        (_TALLY, "is_ready = is_active and ready_condition(pod) is not None", "is_ready = is_active"),
    ),
    _mutant(
        "goingCount",
        "Pods that are being deleted count as replicas, so that nothing replaces them before they are gone",
        (_TALLY, "is_active = is_unfinished and not is_going", "is_active = is_unfinished"),
    ),
    _mutant(
        "missingOwner",
        "Pods are made without a reference to their ReplicaSet",
        (_REPLICASET, '        "ownerReferences": [owner_reference(owner)],\n', ""),
    ),
    _mutant(
        "adoptsAnything",
        "a controller adopts Pods that its selector does not select",
        (
            "kubesim.controllers.refs",
            'if deleting or "deletionTimestamp" in obj["metadata"] or not selects(labels_of(obj)):',
            'if deleting or "deletionTimestamp" in obj["metadata"]:',
        ),
    ),
    # --- StatefulSet ---
    _mutant(
        "doesNotWait",
        "an ordered StatefulSet goes on to the next Pod before this one is ready",
        (
            _STATEFULSET,
            '        if ordered and (\n            is_deleting(pod) or not is_healthy(pod, stateful_set["spec"].get("minReadySeconds", 0), now_ns)\n        ):\n            return True\n',
            "",
        ),
        (
            _STATEFULSET,
            "                yield from self._control.create(stateful_set, pod)\n            return True\n",
            "                yield from self._control.create(stateful_set, pod)\n            return False\n",
        ),
    ),
    _mutant(
        "updatesAllAtOnce",
        "a StatefulSet's update does not wait for the Pod that it replaced last",
        (
            _STATEFUL_PLAN,
            "            if is_unavailable(pod, min_ready_s, now_ns):\n                return []\n        return []",
            "        return []",
        ),
    ),
    _mutant(
        "takesTheFirst",
        "a StatefulSet that shrinks takes its lowest superfluous Pod first",
        (_STATEFUL_PLAN, "condemned.sort(key=ordinal_of, reverse=True)", "condemned.sort(key=ordinal_of)"),
    ),
    _mutant(
        "deletesByForce",
        "a StatefulSet deletes its Pods without grace: the new one starts while the old one runs",
        (
            _STATEFUL_PODS,
            'yield delete(POD, metadata["namespace"], metadata["name"])',
            'yield delete(POD, metadata["namespace"], metadata["name"], Options(grace_period_s=0))',
        ),
        (
            _STATEFUL_PODS,
            "from kubesim.api.requests import create, delete, update",
            "from kubesim.api.requests import Options, create, delete, update",
        ),
    ),
    _mutant(
        "ignoresPartition",
        "a StatefulSet updates Pods below its partition",
        (
            _STATEFUL_PLAN,
            'partition = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)',
            "partition = 0",
        ),
    ),
    # --- Endpoints ---
    _mutant(
        "unreadyEndpoints",
        "EndpointSlices list Pods as ready once they have an address",
        (_ENDPOINTS, "    serving = is_ready(pod)\n", "    serving = True\n"),
    ),
    _mutant(
        "goingEndpoints",
        "Pods that are being deleted stay ready endpoints",
        (_ENDPOINTS, "(serving and not terminating)", "serving"),
    ),
    _mutant(
        "missedReadiness",
        "the EndpointSlice controller is not woken when a Pod's readiness changes",
        (_SERVICE_PODS, "    return is_ready(old) != is_ready(new)", "    return False"),
    ),
    # --- disruption ---
    _mutant(
        "budgetByOne",
        "a budget allows one disruption more than there are healthy Pods to spare",
        (
            _DISRUPTION,
            "max(0, healthy - expected.healthy) if expected.pods",
            "max(0, healthy - expected.healthy + 1) if expected.pods",
        ),
    ),
    _mutant(
        "budgetCountsGoing",
        "a budget counts Pods that are being deleted as healthy",
        (
            "kubesim.controllers.budget_cover",
            'return "deletionTimestamp" not in pod["metadata"] and is_ready(pod)',
            "return is_ready(pod)",
        ),
    ),
    _mutant(
        "evictionForgotten",
        "a granted eviction is not taken from what the budget allows",
        (
            "kubesim.apiserver.eviction",
            'allowed = status["disruptionsAllowed"] - 1',
            'allowed = status["disruptionsAllowed"]',
        ),
        (
            "kubesim.apiserver.eviction",
            '{**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: to_time(now_ns)}',
            '{**(status.get("disruptedPods") or {})}',
        ),
        (
            "kubesim.apiserver.eviction",
            '    if status["disruptionsAllowed"] == 0:\n',
            '    if status["currentHealthy"] == 0:\n',
        ),
    ),
    # --- garbage collector ---
    _mutant(
        "collectsUnasked",
        "the garbage collector takes an owner that it has not seen for one that is gone, and does not ask",
        (
            _COLLECTOR,
            "            latest = yield _get(kind, node)\n        except",
            "            if node.is_virtual:\n                self._give_up(node)\n            latest = yield _get(kind, node)\n        except",
        ),
        (
            _COLLECTOR,
            "        if identity in absent:\n            return None\n        kind",
            "        if identity in absent or True:\n            return None\n        kind",
        ),
    ),
    _mutant(
        "leavesDependents",
        "the garbage collector does not look at what a deleted object owned",
        (
            _GRAPH,
            '        node = self.nodes.get(metadata["uid"])\n        if node is not None:\n            if node.is_virtual:\n                node = self._observe(type_, metadata, node)\n            self._remove(',
            '        node = self.nodes.get(metadata["uid"])\n        if node is not None and node.is_virtual:\n            if node.is_virtual:\n                node = self._observe(type_, metadata, node)\n            self._remove(',
        ),
    ),
    # --- nodes ---
    _mutant(
        "silenceUnnoticed",
        "Pods of a node that has fallen silent stay ready",
        (
            _NODES,
            '            if (observed == "True" and not is_ready) or (observed != "True" and name in self._pods_to_retry):\n',
            "            if False:\n",
        ),
    ),
    _mutant(
        "evictsAtOnce",
        "Pods are evicted from a tainted node without the time that they tolerate it for",
        (
            _TAINTS,
            "    return None if shortest_s is None else shortest_s * SECOND",
            "    return None if shortest_s is None else 0",
        ),
    ),
    # --- volumes ---
    _mutant(
        "claimFirst",
        "a claim is called Bound before its volume is bound to it",
        (
            _BINDER,
            '        volume = yield from self._copies.write(PERSISTENT_VOLUME, plan.with_claim(volume, claim), volume)\n        yield from self._copies.write_volume_phase(volume, "Bound")\n',
            "",
        ),
    ),
    # --- scheduler ---
    _mutant(
        "forgetsAssumed",
        "the scheduler does not count Pods that it has decided on until their bindings are seen",
        (
            _SCHEDULER,
            "        self.snapshot.add_pod(pod, outcome.node_name, queued.profile)\n        self._assumed[queued.uid] = queued\n",
            "",
        ),
    ),
    _mutant(
        "ignoresCordon",
        "the scheduler puts Pods on nodes that are cordoned",
        (
            "kubesim.scheduler.plugins.node_unschedulable",
            "return _REFUSED if node.unschedulable and not state else None",
            "return None",
        ),
        (
            "kubesim.scheduler.plugins.taint_toleration",
            "return _REFUSED if node.taints and has_untolerated_taint(node.taints, state) else None",
            "return None",
        ),
    ),
    _mutant(
        "portsShared",
        "the scheduler does not look at host ports that are taken",
        (
            "kubesim.scheduler.plugins.node_ports",
            "        if not used:\n            return None\n",
            "        return None\n",
        ),
    ),
    _mutant(
        "volumesUnreachable",
        "the scheduler puts a Pod where its volume is not",
        (
            "kubesim.scheduler.plugins.volume_binding",
            "            if not reaches(volume, node):\n                reasons.append(_CONFLICT)\n                break\n",
            "",
        ),
    ),
    # --- kubelet ---
    _mutant(
        "readyWhenRunning",
        "a kubelet calls a container ready as soon as it runs",
        (_STATUS, '(probes is None or probes.readiness in {None, "success"})', "True"),
        (
            _STATUS,
            '            ready = facts.role == "init" and record.exit_code == 0\n',
            '            ready = facts.role != "init" or record.exit_code == 0\n',
        ),
    ),
    _mutant(
        "noBackOff",
        "a kubelet starts a container that keeps ending again at once",
        (_ACTING, "    if not backoff.is_waiting(key, record.finished_at_ns, now_ns):\n", "    if True:\n"),
    ),
    _mutant(
        "deletesEarly",
        "a kubelet deletes a Pod from the API while its containers are still ending",
        (
            _WRITER,
            '        if worker.stage == "finished" and worker.is_deleting and self._api.get("phase") in TERMINAL_PHASES:\n',
            "        if worker.is_deleting:\n",
        ),
    ),
    _mutant(
        "leavesOrphans",
        "a kubelet that starts again leaves Pods running that were deleted meanwhile",
        (
            _KUBELET,
            "                self.loop.post(2 * SECOND, self._remove_orphans, self._pods)\n",
            "                pass\n",
        ),
    ),
    _mutant(
        "restartsTheGoing",
        "a kubelet starts containers of Pods that are being deleted",
        (
            _PLAN,
            "            if not is_deleting and is_to_start(facts, record, pod.restart_policy):\n",
            "            if is_to_start(facts, record, pod.restart_policy):\n",
        ),
        (
            _WORKER,
            '        if self.stage == "syncing":\n            self.stage = "terminating"\n',
            '        if self.stage == "syncing" and False:\n            self.stage = "terminating"\n',
        ),
    ),
)
