"""The vehicle stack as real processes: how soon it serves, and what users notice when it is killed.

Each kill meets a container that has not been restarted before, so that no back-off is in the figure, and they fall on
all parts of a probe's period. Users count as in `kubesim run`: what has no answer after two seconds was not served.
A killed database takes some 11 s until the next kill, a replica 14 s, so that twenty of each take nine minutes; in
that is the killed Pod's replacement by a new one, which the availability meanwhile counts, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kubesim.cluster import Cluster, ready
from kubesim.errors import UserError
from kubesim.manifests import load
from kubesim.processes.control import ask_stack
from kubesim.processes.run_folder import find_running
from kubesim.processes.stack import ProcessStack
from kubesim.processes.users import RealUsers
from kubesim.sim.loop import SECOND

SPEC = "specs/stack.yaml"
RATE = 50
_WAIT_NS = 60 * SECOND
# The period at which the stack is probed, and on how many parts of it kills fall.
_PERIOD_S = 2.0
_MOMENTS = 8


def measure_start() -> float:
    """Seconds from the start of `python -m kubesim run` to the first 200 through the Service."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        start = time.perf_counter()
        words = [sys.executable, "-m", "kubesim", "run", SPEC, "--runtime", "process", "--quiet"]
        try:
            with subprocess.Popen(words, stdout=subprocess.DEVNULL) as running:  # noqa: S603
                try:
                    _wait_for_200(start + _WAIT_NS / SECOND)
                    return time.perf_counter() - start
                finally:
                    running.send_signal(signal.SIGINT)
        finally:
            tempfile.tempdir = None
            del os.environ["TMPDIR"]


def _wait_for_200(until_s: float) -> None:
    import http.client

    address = {"command": "address", "namespace": "", "reference": "service/vehicle-api", "port": 80}
    place: Any = None
    while time.perf_counter() < until_s:
        try:
            place = place or ask_stack(find_running(), address)
            with contextlib.closing(http.client.HTTPConnection(place[0], place[1], timeout=2)) as connection:
                connection.request("GET", "/api/vehicles")
                if connection.getresponse().status == 200:
                    return
        except (UserError, OSError, http.client.HTTPException):
            time.sleep(0.01)
    raise TimeoutError("no request was answered with 200 in time")


class _Bench:
    """A stack under load."""

    def __init__(self, stack: ProcessStack) -> None:
        self.stack = stack
        self.cluster = stack.cluster
        self._kills = 0
        self.cluster.apply(SPEC)
        self.wait(self._is_whole)
        self.users: RealUsers = stack.start_users("vehicle-api", rate=RATE, write_percent=20)
        self.rest(2)

    def wait(self, holds: Callable[[], bool]) -> float:
        """Let time pass until it is so; returns seconds."""
        start_ns = self.stack.pacer.wall_ns()
        if not self.stack.pacer.run(start_ns + _WAIT_NS, holds):
            raise TimeoutError("the stack did not heal within a minute")
        return (self.stack.pacer.wall_ns() - start_ns) / SECOND

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        self.stack.pacer.run(self.stack.pacer.wall_ns() + round(seconds * SECOND))

    def _is_whole(self) -> bool:
        each = [
            ready(reference).holds(self.cluster) for reference in ("statefulset/postgres", "deployment/vehicle-api")
        ]
        return all(each)

    def kill_and_heal(self, name: str) -> float:
        """kill -9 a Pod's process; returns seconds until it is Ready again."""
        reference = f"pod/{name}"
        self._kills += 1
        self.rest(self._kills % _MOMENTS / _MOMENTS * _PERIOD_S)
        os.kill(self.stack.container_of(reference).pid, signal.SIGKILL)

        def is_back() -> bool:
            status = self.cluster.get(reference)["status"]["containerStatuses"][0]
            return bool(status["restartCount"] == 1 and status["ready"])

        took = self.wait(is_back)
        self.wait(self._is_whole)
        self.rest(2)
        return took

    def renew(self, name: str) -> None:
        """Give the Pod a successor that has not been restarted."""
        uid = self.cluster.get(f"pod/{name}")["metadata"]["uid"]
        self.cluster.delete(f"pod/{name}")
        self.wait(lambda: (self.cluster.find(f"pod/{name}") or {"metadata": {"uid": ""}})["metadata"]["uid"] != uid)
        self.wait(self._is_whole)
        self.rest(1)

    def repeat(self, kill: Callable[[_Bench], float], kills: int, of: str) -> tuple[list[float], tuple[int, int]]:
        """Kill so often; returns how long each took to heal, and from when until when that was."""
        start_ns = self.stack.pacer.wall_ns()
        took = []
        for number in range(1, kills + 1):
            took.append(kill(self))
            print(f"{of} {number} of {kills}: ready again after {took[-1]:.2f} s", file=sys.stderr, flush=True)
        return took, (start_ns, self.stack.pacer.wall_ns())

    def finish(self) -> None:
        """Stop the users, and wait until each has an answer or has given up."""
        self.users.stop()
        while self.users.is_waiting:
            self.rest(0.05)


def measure(kills: int) -> dict[str, Any]:
    """All figures of the process runtime."""
    starts = [measure_start() for _ in range(3)]
    objects = [manifest.object for manifest in load(SPEC)]
    with ProcessStack(objects=objects) as stack:
        bench = _Bench(stack)
        database, database_span = bench.repeat(_kill_database, kills, "database")
        replicas, replica_span = bench.repeat(_kill_replica, kills, "replica")
        rollout_span = _roll_out(bench)
        bench.finish()
        users = bench.users
        audit, rollout = users.audit(), users.count(*rollout_span)
        return {
            "start to first 200, s": f"{min(starts):.2f} best, {statistics.median(starts):.2f} median of {len(starts)}",
            "database kills": kills,
            "database ready again, s": _spread(database),
            "predicted": _spread(_predict("pod/postgres-0")),
            "availability meanwhile": f"{users.count(*database_span).availability:.4%}",
            "half answered within, ms": f"{(users.duration_ns(0.5) or 0) / 1e6:.1f}",
            "slowest answer, s": f"{users.slowest_ns() / SECOND:.2f}",
            "without an answer in 2 s": users.reasons().get("timeout", 0),
            "acknowledged writes": audit.kept + len(audit.lost),
            "acknowledged writes lost": len(audit.lost),
            "replica kills": kills,
            "replica ready again, s": _spread(replicas),
            "predicted ": _spread(_predict("deployment/vehicle-api")),
            "availability meanwhile ": f"{users.count(*replica_span).availability:.4%}",
            "rolling update, requests": rollout.total,
            "rolling update, not served": rollout.unserved,
            "not served, by reason": str(users.reasons()),
            "load average": " ".join(f"{each:.1f}" for each in os.getloadavg()),
        }


def _kill_database(bench: _Bench) -> float:
    result = bench.kill_and_heal("postgres-0")
    bench.renew("postgres-0")
    return result


def _kill_replica(bench: _Bench) -> float:
    name = bench.cluster.ready_pod_of("deployment/vehicle-api")["metadata"]["name"]
    result = bench.kill_and_heal(name)
    bench.renew(name)
    return result


def _roll_out(bench: _Bench) -> tuple[int, int]:
    start_ns = bench.stack.pacer.wall_ns()
    bench.cluster.restart_rollout("deployment/vehicle-api")
    bench.rest(1)
    bench.wait(lambda: ready("deployment/vehicle-api").holds(bench.cluster))
    bench.rest(8)  # the last old Pods end
    return start_ns, bench.stack.pacer.wall_ns()


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[0]:.2f} best, {statistics.median(ordered):.2f} median, {ordered[-1]:.2f} worst"


def _has_restarted(cluster: Cluster, pod: str) -> bool:
    return bool(cluster.get(pod)["status"]["containerStatuses"][0]["restartCount"] == 1)


def _predict(reference: str) -> list[float]:
    """What the simulated runtime says of such kills, in seconds until Ready."""
    found = []
    for moment in range(_MOMENTS):
        with Cluster() as cluster:
            cluster.apply(Path(SPEC))
            for workload in ("statefulset/postgres", "deployment/vehicle-api"):
                cluster.until(ready(workload))
            cluster.run(2 + moment / _MOMENTS * _PERIOD_S)
            pod = f"pod/{cluster.ready_pod_of(reference)['metadata']['name']}"
            cluster.crash(pod, exit_code=137)
            start_ns = cluster.now_ns
            cluster.until(partial(_has_restarted, pod=pod))
            cluster.until(ready(pod))
            found.append((cluster.now_ns - start_ns) / SECOND)
    return found
