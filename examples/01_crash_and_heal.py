"""A container crashes, then the database: what heals, how long it takes, what users notice.

Run it from the project's root: `python examples/01_crash_and_heal.py`.
"""

from kubesim import Cluster, ready

SECOND = 1_000_000_000

with Cluster(nodes=3) as cluster:
    cluster.apply("specs/stack.yaml")
    took_ns = cluster.until(ready("deployment/vehicle-api"))
    print(f"the stack is up after {took_ns / SECOND:.1f} s")

    users = cluster.load("vehicle-api", rate_per_second=50, write_percent=20)
    cluster.run(10)

    for victim in ("deployment/vehicle-api", "pod/postgres-0"):
        pod = cluster.ready_pod_of(victim)["metadata"]["name"]
        crash_ns = cluster.now_ns
        cluster.crash(f"pod/{pod}")
        cluster.run(30)
        status = cluster.get(f"pod/{pod}")["status"]["containerStatuses"][0]
        counts = users.report.count(crash_ns, cluster.now_ns)
        recovery_ns = users.report.recovery_ns(crash_ns, cluster.now_ns)
        print(f"{victim}: restarted {status['restartCount']} time, ready: {status['ready']}")
        missed = counts.failed + counts.refused
        print(f"  {counts.served} requests served, {missed} not, in the first {recovery_ns / SECOND:.1f} s")

    users.stop()
    cluster.run(5)
    audit = cluster.audit(users)
    print(f"acknowledged writes: {audit.kept} kept, {len(audit.lost)} lost")
