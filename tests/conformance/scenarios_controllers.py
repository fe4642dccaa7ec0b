"""What was done to the real cluster for the recordings of controllers and of the whole stack (d, e, f, s)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from replay import Object, Replay
from scenarios_pods import IMG, READY_FILE

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
        return status.get("observedGeneration") == obj["metadata"]["generation"] and status.get(
            "readyReplicas", 0
        ) == count == status["replicas"] == len(pods)

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
        r.exec("db-0", "rm", READY_FILE)
        r.sleep(5)
        r.scale("sts/db", size)
        r.sleep(seconds + 0.1)
        r.exec("db-0", "touch", READY_FILE)
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
    r.exec("w1", "rm", READY_FILE)
    r.sleep(4.1)
    r.exec("w1", "touch", READY_FILE)
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
    r.exec(now[0], "rm", READY_FILE)
    r.exec(now[1], "rm", READY_FILE)
    r.sleep(5.2)
    r.evict(now[0])
    r.evict(now[2])
    # A dry run of a drain, which is refused all the time.
    r.sleep(185)
    bare = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: bare, labels: {{app: bare}}}}\nspec: {{terminationGracePeriodSeconds: 1, containers: [{{name: main, {IMG}, command: [sleep, '99']}}]}}\n"
    r.apply(
        "---\n".join([budget("none", "minAvailable: 1", "none"), budget("bare", "maxUnavailable: 1", "bare"), bare])
    )
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

    # At the time of the recording, the starting database was asked every two seconds whether it was ready.
    recorded = re.sub(
        r"periodSeconds: 1(\s+timeoutSeconds: 5\s+)failureThreshold: 60",
        r"periodSeconds: 2\1failureThreshold: 30",
        STACK.read_text(),
    )
    r.apply(recorded)
    r.wait(is_full, 120)
    r.sleep(2.7)
    r.apply(recorded)
    r.sleep(0.7)
    change: Object = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "vehicle-api", "env": [{"name": "VERSION", "value": "2"}]}]}}
        }
    }
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
}
