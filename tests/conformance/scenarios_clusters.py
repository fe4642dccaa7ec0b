"""What was done to the real cluster for the recordings of controllers, scheduler and nodes (d, e, f, h, k, s)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replay import Object, Replay
from scenarios_pods import IMG, pod

STACK = Path(__file__).parents[2] / "specs" / "stack.yaml"
READY_EXEC = "readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1}"


# --- StatefulSets ---


def stateful(
    replicas: int = 3, env: str = "1", extra: str = "", name: str = "db", *, claims: bool = True, command: str = ""
) -> str:
    template = """  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
    mounts = "        volumeMounts: [{name: data, mountPath: /data}]\n" if claims else ""
    script = command or 'trap "exit 0" TERM; sleep 1; touch /tmp/ready; sleep 9999 & wait'
    return f"""apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  serviceName: {name}
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
{extra}  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: main
        image: python:3.11-slim
        imagePullPolicy: IfNotPresent
        command: [sh, -c, '{script}']
        env: [{{name: V, value: "{env}"}}]
        {READY_EXEC}
{mounts}{template if claims else ""}"""


def settled(r: Replay, count: int, name: str = "db", timeout: float = 60) -> None:
    def is_so(r: Replay) -> bool:
        obj = r.latest("statefulsets", name)
        status = obj["status"]
        pods = r.cluster.list("pods", r.namespace)
        return (
            status.get("observedGeneration") == obj["metadata"]["generation"]
            and status.get("readyReplicas", 0) == count == status["replicas"] == len(pods)
        )

    r.wait(is_so, timeout)
    r.sleep(1.5)


def statefulset_ordered(r: Replay) -> None:
    r.apply(stateful())
    settled(r, 3)
    r.sleep(0.6)
    r.scale("sts/db", 1)
    settled(r, 1)
    r.scale("sts/db", 3)
    settled(r, 3)
    for partition, seconds in ((2, 8), (0, 12)):
        strategy = f"  updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: {partition}}}}}\n"
        r.apply(stateful(env="2", extra=strategy))
        r.sleep(seconds)
        settled(r, 3)
    r.delete("pod/db-1")
    r.sleep(20.1)
    settled(r, 3)
    r.delete("pod/db-0", grace=0)
    r.sleep(3)
    settled(r, 3)
    r.delete("sts/db", propagation="Background")
    r.none()
    r.delete("pvc")
    r.sleep(3)


def statefulset_parallel(r: Replay) -> None:
    extra = "  podManagementPolicy: Parallel\n  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}\n"
    r.apply(stateful(extra=extra))
    settled(r, 3)
    r.scale("sts/db", 1)
    settled(r, 1)
    r.sleep(2)
    r.scale("sts/db", 2)
    settled(r, 2)
    r.delete("sts/db", propagation="Background")
    r.none()
    r.sleep(3)


def statefulset_stuck(r: Replay) -> None:
    r.apply(stateful(2, claims=False))
    settled(r, 2)
    r.apply(stateful(2, "bad", claims=False, command="sleep 9999"))
    r.sleep(10.1)
    r.apply(stateful(2, "3", claims=False))
    r.sleep(12.1)
    r.delete("pod/db-1")
    r.sleep(8)
    settled(r, 2)
    # Refused: the defaulted rollingUpdate.partition is in the way.
    r.sleep(0.3 + 4)
    r.delete("pod/db-0")
    r.sleep(6.2)
    r.delete("sts/db", propagation="Foreground")
    r.none()
    r.apply(stateful(2, name="slow", claims=False, extra="  minReadySeconds: 3\n"))
    settled(r, 2, "slow")
    r.sleep(4)
    r.delete("sts/slow", propagation="Background")
    r.none()


def statefulset_on_delete(r: Replay) -> None:
    extra = "  updateStrategy: {type: OnDelete}\n"
    parallel = "  podManagementPolicy: Parallel\n"
    r.apply(stateful(2, claims=False, extra=extra))
    settled(r, 2)
    r.apply(stateful(2, "2", claims=False, extra=extra))
    r.sleep(3.1)
    r.delete("pod/db-0")
    r.sleep(5.1)
    for size, seconds in ((1, 4), (3, 3)):
        r.exec("db-0", "rm", "/tmp/ready")
        r.sleep(5)
        r.scale("sts/db", size)
        r.sleep(seconds + 0.1)
        r.exec("db-0", "touch", "/tmp/ready")
        r.sleep(5.1 if size == 1 else 9.1)
    r.exec("db-0", "sh", "-c", "kill -TERM 1")
    r.sleep(5.1)
    r.delete("sts/db", propagation="Orphan")
    r.sleep(2.1)
    r.apply(stateful(2, "2", claims=False, extra=extra))
    r.sleep(5.1)
    r.delete("sts/db", propagation="Background")
    r.none()
    r.apply(stateful(3, name="par", claims=False, extra=parallel))
    settled(r, 3, "par")
    r.apply(stateful(3, "2", name="par", claims=False, extra=parallel))
    r.sleep(14)
    settled(r, 3, "par")
    r.delete("sts/par", propagation="Background")
    r.none()


# --- Services, budgets, volumes ---

SERVICES = """apiVersion: v1
kind: Service
metadata: {name: cluster, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: extra, port: 81, targetPort: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: unready}
spec: {publishNotReadyAddresses: true, clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nodeport}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: lb}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: noselector}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: ext}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: v1
kind: Service
metadata: {name: nomatch}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""


def services(r: Replay) -> None:
    def web(name: str, more: str = "") -> str:
        return f"""apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web}}}}
spec:
  {more}
  terminationGracePeriodSeconds: 10
  containers:
  - name: main
    image: python:3.11-slim
    imagePullPolicy: IfNotPresent
    command: [sh, -c, 'trap "exit 0" TERM; sleep 3; touch /tmp/ready; sleep 9999 & wait']
    ports: [{{name: http, containerPort: 8080}}]
    readinessProbe: {{exec: {{command: [cat, /tmp/ready]}}, periodSeconds: 1, failureThreshold: 2}}
    lifecycle: {{preStop: {{sleep: {{seconds: 4}}}}}}
"""

    r.apply(SERVICES)
    r.sleep(2.1)
    r.apply(web("w1"))
    r.pod_ready("w1")
    r.sleep(1.6)
    r.apply(web("w2", "hostname: w2\n  subdomain: headless"))
    r.pod_ready("w2")
    r.sleep(1.6)
    r.exec("w1", "rm", "/tmp/ready")
    r.sleep(4.1)
    r.exec("w1", "touch", "/tmp/ready")
    r.pod_ready("w1")
    r.sleep(1)
    for name in ("w1", "w2"):
        r.delete(f"pod/{name}")
        r.gone("pods", name)
        r.sleep(1.6)
    r.delete("svc/cluster")
    r.sleep(1.6)
    image = "image: 'python:3.11-slim', imagePullPolicy: IfNotPresent"
    r.apply(f"""apiVersion: v1
kind: Pod
metadata: {{name: done, labels: {{app: web}}}}
spec: {{restartPolicy: Never, containers: [{{name: main, {image}, command: [sh, -c, 'sleep 2']}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: crash, labels: {{app: web}}}}
spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: main, {image}, command: [sh, -c, 'sleep 3; exit 1']}}]}}
""")
    r.sleep(14.1)
    r.delete("pod")
    r.none()


def deployment(delay: int) -> str:
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: main
        image: python:3.11-slim
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'trap "exit 0" TERM; sleep {delay}; touch /tmp/ready; sleep 9999 & wait']
        env: [{{name: V, value: "1"}}]
        {READY_EXEC}
"""


def budget(name: str, spec: str, app: str) -> str:
    return f"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: {name}}}\nspec: {{{spec}, selector: {{matchLabels: {{app: {app}}}}}}}\n"


def complete(r: Replay, count: int) -> None:
    def is_so(r: Replay) -> bool:
        obj = r.latest("deployments", "web")
        status = obj["status"]
        sizes = [status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")]
        return status.get("observedGeneration") == obj["metadata"]["generation"] and sizes == [count] * 3

    r.wait(is_so, 90)
    r.wait(lambda r: len(r.cluster.list("pods", r.namespace)) == count, 30)
    r.sleep(1)


def evictions(r: Replay) -> None:
    def names() -> list[str]:
        return [each["metadata"]["name"] for each in r.cluster.list("pods", r.namespace)]

    r.apply(budget("web", "minAvailable: 2", "web"))
    r.sleep(1)
    r.apply(deployment(4))
    complete(r, 3)
    first = names()
    r.evict(first[0], deleteOptions={"dryRun": ["All"]})
    r.sleep(1)
    r.evict(first[0])
    r.evict(first[1])
    r.sleep(0.6)
    r.evict(first[1])
    complete(r, 3)
    r.evict("missing")
    r.evict(first[1], deleteOptions={"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}})
    r.apply(budget("second", "maxUnavailable: 50%", "web"))
    r.sleep(1.6)
    r.evict(names()[0])
    r.delete("pdb/second")
    r.sleep(1)
    now = names()
    r.exec(now[0], "rm", "/tmp/ready")
    r.exec(now[1], "rm", "/tmp/ready")
    r.sleep(5.2)
    r.evict(now[0])
    r.evict(now[2])
    # A dry run of a drain, which is refused all the time.
    r.sleep(185)
    bare = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: bare, labels: {{app: bare}}}}\nspec: {{terminationGracePeriodSeconds: 1, containers: [{{name: main, {IMG}, command: [sleep, '99']}}]}}\n"
    r.apply("---\n".join([budget("none", "minAvailable: 1", "none"), budget("bare", "maxUnavailable: 1", "bare"), bare]))
    r.sleep(4.2)
    r.evict("bare")
    r.delete("deploy", propagation="Background")
    r.delete("pod")
    r.delete("pdb")
    r.none()


def volumes(r: Replay) -> None:
    def claim(name: str, more: str = "") -> str:
        spec = f"accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}{more}"
        return f"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"

    def user(name: str, of: str) -> str:
        return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers: [{{name: main, {IMG}, command: [sleep, '999'], volumeMounts: [{{name: v, mountPath: /v}}]}}]\n  volumes: [{{name: v, persistentVolumeClaim: {{claimName: {of}}}}}]\n"

    r.apply(claim("dyn"))
    r.wait(lambda r: r.latest("pvc", "dyn")["status"]["phase"] == "Bound", 30)
    r.sleep(1.1)
    for name in ("user", "user2"):
        r.apply(user(name, "dyn"))
        r.pod_ready(name)
    r.delete("pvc/dyn")
    r.sleep(2.1)
    r.apply(user("late", "dyn"))
    r.sleep(2)
    r.delete("pod/user", "pod/user2", "pod/late")
    r.none()
    r.gone("pvc", "dyn")
    r.sleep(4)
    r.apply(
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: rec-wffc}\nprovisioner: kubernetes.io/host-path\nreclaimPolicy: Retain\nvolumeBindingMode: WaitForFirstConsumer\n"
    )
    r.apply(claim("wffc", ", storageClassName: rec-wffc"))
    r.sleep(3)
    r.apply(user("first", "wffc"))
    r.pod_ready("first", timeout=30)
    r.delete("pod/first")
    r.gone("pods", "first")
    r.delete("pvc/wffc")
    r.sleep(3.2)
    r.apply(claim("noclass", ", storageClassName: missing") + "---\n" + claim("empty", ", storageClassName: ''"))
    r.apply(user("waits", "noclass"))
    r.sleep(20.3)
    r.apply(user("before", "later"))
    r.sleep(3)
    r.apply(claim("later"))
    r.pod_ready("before", timeout=60)
    r.apply(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: rec-static}\nspec: {capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp/rec-static}, storageClassName: '', persistentVolumeReclaimPolicy: Retain}\n"
    )
    r.sleep(4.3)
    r.delete("pod")
    r.none()
    r.delete("pvc")
    r.sleep(4.2)
    r.delete("pv/rec-static")
    r.delete("sc/rec-wffc")
    r.sleep(1)
    for volume in r.cluster.list("pv"):
        r.delete(f"pv/{volume['metadata']['name']}")
    r.sleep(2)


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
    kubelet = r.cluster.data_plane.nodes["node-1"].kubelet
    kubelet.stop()
    node_is(r, "Unknown")
    r.sleep(43.3)
    kubelet.start()
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
    waiting = [p["metadata"]["name"] for p in r.cluster.list("pods", r.namespace) if p["metadata"]["name"].startswith("web-")]
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
    spec = f"accessModes: [ReadWriteOnce], storageClassName: '{storage_class}', resources: {{requests: {{storage: 1Gi}}}}"
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
    r.apply(f"apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: rec-k2}}\n{volume}\n---\n{unbound_claim('local', 'rec-k2')}")
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


# --- the whole stack ---


def stack(r: Replay) -> None:
    def is_full(r: Replay) -> bool:
        api, database = r.latest("deployments", "vehicle-api"), r.latest("statefulsets", "postgres")
        status: Any = api["status"]
        return (
            status.get("readyReplicas") == status.get("updatedReplicas") == 3
            and database["status"].get("readyReplicas") == 1
            and status["observedGeneration"] == api["metadata"]["generation"]
            and len(r.cluster.list("pods", r.namespace)) == 4
        )

    r.apply(STACK.read_text())
    r.wait(is_full, 120)
    r.sleep(2.7)
    r.apply(STACK.read_text())
    r.sleep(0.7)
    change: Object = {"spec": {"template": {"spec": {"containers": [{"name": "vehicle-api", "env": [{"name": "VERSION", "value": "2"}]}]}}}}
    r.cluster.patch("deploy/vehicle-api", change, r.namespace)
    r.sleep(1)
    r.wait(is_full, 120)
    r.sleep(1)
    r.delete("pod/postgres-0")
    r.sleep(30.5)
    r.wait(is_full, 120)
    r.sleep(6)
    name = r.cluster.list("pods", r.namespace)[-1]["metadata"]["name"]
    r.delete(f"pod/{name}")
    r.gone("pods", name)
    r.wait(is_full, 60)
    r.sleep(0.2)
    r.cluster.crash("pod/postgres-0", exit_code=0, namespace=r.namespace)
    r.sleep(12)
    r.wait(is_full, 60)
    r.sleep(0.2)
    r.scale("deploy/vehicle-api", 5)
    r.sleep(8)
    r.scale("deploy/vehicle-api", 3)
    r.sleep(8)
    r.delete("ns/vehicles")
    r.wait(lambda r: r.cluster.find("ns/vehicles") is None, 60)


SCENARIOS = {
    "s1-stack": stack,
    "d1-statefulset-ordered": statefulset_ordered,
    "d2-statefulset-parallel": statefulset_parallel,
    "d3-statefulset-stuck": statefulset_stuck,
    "d4-statefulset-ondelete": statefulset_on_delete,
    "e1-services-endpoints": services,
    "f1-pdb-eviction": evictions,
    "f2-volumes": volumes,
    "h1-kubelet-stopped": kubelet_stopped,
    "h2-kubelet-restarted": kubelet_restarted,
    "h3-drain-cordon": drain,
    "k1-failed-scheduling": unschedulable,
    "k2-failed-scheduling-many-nodes": unschedulable_on_many_nodes,
    "k3-more-scheduling": refused_and_waiting,
}
