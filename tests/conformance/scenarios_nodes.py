"""What was done to the real cluster for the recordings of nodes and the scheduler (h, k)."""

from __future__ import annotations

from replay import Replay
from scenarios_controllers import budget
from scenarios_pods import IMG

# --- nodes ---

STAYS_10_S = "tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 10}, {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 10}]"
PREFERS = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-1]}]}}]}}"
QUITS = """command: [sh, -c, 'trap "exit 0" TERM; touch /tmp/ready; sleep 9999 & wait']"""


def workloads(min_available: int = 2) -> str:
    def template(app: str) -> str:
        return f"""  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      terminationGracePeriodSeconds: 3
      {STAYS_10_S}
      {PREFERS}
      containers:
      - {{name: main, {IMG}, {QUITS}, readinessProbe: {{exec: {{command: [cat, /tmp/ready]}}, periodSeconds: 2}}}}
"""

    held = "terminationGracePeriodSeconds: 3, nodeSelector: {kubernetes.io/hostname: node-1}"
    containers = f"containers: [{{name: main, {IMG}, {QUITS}}}]"
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
{template("web")}---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  replicas: 1
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
{template("db")}---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}
---
{budget("web", f"minAvailable: {min_available}", "web")}---
apiVersion: v1
kind: Pod
metadata: {{name: patient}}
spec: {{{held}, {containers}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: forever}}
spec: {{{held}, tolerations: [{{operator: Exists}}], {containers}}}
"""


def up(r: Replay) -> None:
    def is_so(r: Replay) -> bool:
        web, db = r.latest("deployments", "web")["status"], r.latest("statefulsets", "db")["status"]
        return web.get("readyReplicas") == 2 and db.get("readyReplicas") == 1

    r.wait(is_so, 60)
    r.pod_ready("patient", "forever")


def node_is(r: Replay, status: str) -> None:
    def is_so(r: Replay) -> bool:
        conditions = r.latest("nodes", "node-1")["status"]["conditions"]
        return [each["status"] for each in conditions if each["type"] == "Ready"] == [status]

    r.wait(is_so, 120)


def delete_workloads(r: Replay) -> None:
    for kind in ("deploy", "sts", "svc", "pdb", "pod"):
        r.delete(kind, propagation="Background")


def kubelet_stopped(r: Replay) -> None:
    r.add_nodes({"oracle-x": {"taints": []}})
    r.apply(workloads())
    up(r)
    r.sleep(2.1)
    r.cluster.faults.isolate("node-1")
    node_is(r, "Unknown")
    r.sleep(43.3)
    r.cluster.faults.rejoin("node-1")
    node_is(r, "True")
    r.sleep(20.1)
    delete_workloads(r)
    r.sleep(6)
    r.delete("pod", grace=0)
    r.sleep(1)
    r.remove_nodes()


def kubelet_restarted(r: Replay) -> None:
    r.apply(workloads())
    up(r)
    r.sleep(2)
    node = r.cluster.data_plane.nodes["node-1"]
    node.kubelet.stop()
    r.sleep(2)
    node.runtime.end_container(r.latest("pods", "patient")["metadata"]["uid"], "main", 137)
    r.sleep(6)
    node.kubelet.start()
    r.sleep(25.2)
    delete_workloads(r)
    r.none()


def drain(r: Replay) -> None:
    r.apply(workloads(1))
    up(r)
    r.sleep(1)
    r.patch("node/node-1", {"spec": {"unschedulable": True}})
    waiting = [
        p["metadata"]["name"] for p in r.cluster.list("pods", r.namespace) if p["metadata"]["name"].startswith("web-")
    ]
    for _ in range(3):
        waiting = [name for name in waiting if r.evict(name) is not None]
        r.sleep(5)
    r.sleep(0.2)
    r.patch("node/node-1", {"spec": {"unschedulable": None}})
    up(r)
    delete_workloads(r)
    r.none()


# --- the scheduler ---

SLEEPS = f"{IMG}, command: [sleep, '9999']"
ANTI = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {x: same}}}]}}"
SPREAD = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: %s, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {s: t}}}]"
TOLERATES = "tolerations: [{key: oracle, operator: Exists}]"


def cased(name: str, spec: str = "", container: str = "", labels: str = "") -> str:
    indented = "\n".join("  " + line for line in spec.strip().splitlines())
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{case: {name}{labels}}}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers: [{{name: main, {SLEEPS}{container}}}]\n{indented}\n"


def cpu(amount: float) -> str:
    return f", resources: {{requests: {{cpu: '{amount}'}}}}"


def unbound_claim(name: str, storage_class: str) -> str:
    spec = (
        f"accessModes: [ReadWriteOnce], storageClassName: '{storage_class}', resources: {{requests: {{storage: 1Gi}}}}"
    )
    return f"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def with_claim(name: str) -> str:
    return f"volumes: [{{name: v, persistentVolumeClaim: {{claimName: {name}}}}}]"


def case(r: Replay, manifest: str, wait: float = 2.0, *, deletes: bool = True) -> None:
    r.apply(manifest)
    r.sleep(wait)
    if deletes:
        name = manifest.partition("{name: ")[2].partition(",")[0]
        r.delete(f"pod/{name}", grace=0)


SELECTOR = "nodeSelector: {no: such}"
ZONE_NOWHERE = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [nowhere]}]}]}}}"
TO_NOBODY = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {nobody: has}}}]}}"


def unschedulable(r: Replay) -> None:
    case(r, cased("cpu", "", cpu(100)))
    case(r, cased("memory", "", ", resources: {requests: {memory: 9999Gi}}"))
    case(r, cased("both", "", ", resources: {requests: {cpu: '100', memory: 9999Gi}}"))
    case(r, cased("eph", "", ", resources: {requests: {ephemeral-storage: 99Ti}}"))
    case(r, cased("gpu", "", ", resources: {requests: {example.com/gpu: 1}, limits: {example.com/gpu: 1}}"))
    case(r, cased("selector", SELECTOR))
    case(r, cased("affinity", ZONE_NOWHERE))
    case(r, cased("selcpu", SELECTOR, cpu(100)))
    case(r, cased("nopvc", with_claim("missing")))
    r.apply(unbound_claim("unbound", ""))
    case(r, cased("unbound", with_claim("unbound")))
    r.apply(unbound_claim("badclass", "missing"))
    case(r, cased("badclass", with_claim("badclass")))
    both = "volumes: [{name: v, persistentVolumeClaim: {claimName: unbound}}, {name: w, persistentVolumeClaim: {claimName: missing}}]"
    case(r, cased("twopvc", both))
    case(r, cased("podaff", TO_NOBODY))
    case(r, cased("spreadkey", SPREAD % "rack", labels=", s: t"))
    case(r, cased("gated", "schedulingGates: [{name: example.com/gate}]"), deletes=False)
    r.patch("pod/gated", {"spec": {"schedulingGates": None}})
    r.sleep(2)
    r.delete("pod/gated", grace=0)
    case(r, cased("othersched", "schedulerName: other"))
    port = ", ports: [{containerPort: 80, hostPort: 31999}]"
    r.apply(cased("port1", "", port))
    r.pod_ready("port1")
    case(r, cased("port2", "", port))
    r.delete("pod/port1")
    # A case that came to nothing.
    r.sleep(68)
    case(r, cased("lost", "nodeName: no-such-node"))
    case(r, cased("outofcpu", "nodeName: node-1", cpu(100)), 3)
    case(r, cased("nodeaff", "nodeName: node-1\n" + SELECTOR), 3)
    r.apply(cased("later", "nodeSelector: {oracle-label: here}"))
    r.sleep(3)
    r.patch("node/node-1", {"metadata": {"labels": {"oracle-label": "here"}}})
    r.pod_ready("later")
    r.sleep(0.9)
    r.patch("node/node-1", {"metadata": {"labels": {"oracle-label": None}}})
    r.delete("pod/later")
    r.patch("node/node-1", {"spec": {"unschedulable": True}})
    case(r, cased("cordoned"), deletes=False)
    r.patch("node/node-1", {"spec": {"unschedulable": None}})
    r.pod_ready("cordoned")
    r.sleep(0.9)
    r.delete("pod/cordoned")


def unschedulable_on_many_nodes(r: Replay) -> None:
    taints = [{"key": "oracle", "value": "only", "effect": "NoSchedule"}]
    small = {"pods": "1", "cpu": "1"}
    r.add_nodes(
        {
            "oracle-a": {"labels": {"zone": "a"}, "taints": taints},
            "oracle-b": {"labels": {"zone": "b"}, "taints": taints},
            "oracle-c": {"labels": {"zone": "b"}, "alloc": small},
        }
    )

    def on(node: str) -> str:
        return f"nodeSelector: {{kubernetes.io/hostname: {node}}}"

    ignores = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, nodeAffinityPolicy: Ignore, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {s: t}}}]"
    spread = f"{TOLERATES}\n{SPREAD % 'zone'}"
    case(r, cased("mixed1", "", cpu(3)))
    case(r, cased("mixed2", TOLERATES, cpu(100)))
    case(r, cased("mixed3", "nodeSelector: {zone: a}"))
    r.apply(cased("full", on("oracle-c")))
    r.sleep(2)
    case(r, cased("toomany", on("oracle-c")))
    case(r, cased("mixed4", "", cpu(3)))
    r.apply(cased("sp1", f"{spread}\nnodeSelector: {{zone: a}}", labels=", s: t"))
    r.sleep(2)
    case(r, cased("sp2", f"{spread}\n{on('oracle-a')}", labels=", s: t"))
    case(r, cased("sp3", f"{TOLERATES}\n{ignores}\n{on('oracle-a')}", labels=", s: t"))
    case(r, cased("sp4", spread, cpu(3.5), labels=", s: t"))
    volume = "spec: {capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp/rec-k2}, storageClassName: rec-k2, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}}"
    r.apply(
        f"apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: rec-k2}}\n{volume}\n---\n{unbound_claim('local', 'rec-k2')}"
    )
    r.sleep(2)
    case(r, cased("pvaff", with_claim("local")))
    case(r, cased("pvaff2", f"{with_claim('local')}\n{on('node-1')}"))
    case(r, cased("noexec", on("oracle-a")))
    priority = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: %s}\nvalue: %d\n"
    r.apply(priority % ("rec-high", 1000) + "---\n" + priority % ("rec-never", 2000) + "preemptionPolicy: Never\n")
    r.apply(cased("low", on("node-1"), cpu(1.5)))
    r.pod_ready("low")
    case(r, cased("never", f"priorityClassName: rec-never\n{on('node-1')}", cpu(1.5)))
    r.apply(cased("high", f"priorityClassName: rec-high\n{on('node-1')}", cpu(1.5)))
    r.pod_ready("high")
    r.sleep(1.1)
    boom = {"key": "boom", "value": "1", "effect": "NoExecute"}
    r.patch("node/oracle-a", {"spec": {"taints": [*taints, boom]}})
    r.sleep(4.1)
    r.patch("node/oracle-a", {"spec": {"taints": taints}})
    r.apply(cased("onb", f"{TOLERATES}\n{on('oracle-b')}"))
    r.sleep(2)
    r.delete("node/oracle-b")
    r.gone("pods", "onb", timeout=100)
    r.delete("pod", grace=0)
    r.none()
    r.delete("pvc")
    r.delete("pv/rec-k2")
    r.remove_nodes()
    r.sleep(2)


def refused_and_waiting(r: Replay) -> None:
    r.apply(cased("outofcpu", "nodeName: node-1", cpu(100)))
    r.apply(cased("lost", "nodeName: no-such-node"))
    r.apply(cased("anti1", ANTI, labels=", x: same"))
    r.pod_ready("anti1")
    case(r, cased("anti2", ANTI, labels=", x: same"))
    case(r, cased("anti3", labels=", x: same"))
    case(r, cased("anti4", ANTI, cpu(100), labels=", x: same"))
    r.apply(cased("anti2", ANTI, labels=", x: same"))
    r.sleep(2)
    r.delete("pod/anti1")
    r.pod_ready("anti2")
    to_itself = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {case: self}}}]}}"
    case(r, cased("self", to_itself), 1.5)
    r.apply(cased("big", "", cpu(1.5)))
    r.pod_ready("big")
    r.apply(cased("big2", "", cpu(1.5)))
    r.sleep(3)
    r.delete("pod/big")
    r.pod_ready("big2")
    r.gone("pods", "lost", timeout=75)
    r.delete("pod", grace=0)
    r.none()


SCENARIOS = {
    "h1-kubelet-stopped": kubelet_stopped,
    "h2-kubelet-restarted": kubelet_restarted,
    "h3-drain-cordon": drain,
    "k1-failed-scheduling": unschedulable,
    "k2-failed-scheduling-many-nodes": unschedulable_on_many_nodes,
    "k3-more-scheduling": refused_and_waiting,
}
