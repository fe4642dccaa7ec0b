"""The vehicle stack as real processes: how soon it serves, and what users notice when it is killed.

Kills fall on all parts of a probe's period, and none meets a back-off: after each, the node's kubelet is restarted, for
back-offs are in its memory alone. That costs users nothing, so they count from the first kill to the last; what has no
answer after two seconds was not served. A kill takes some seven seconds: the wait for its moment, healing until every
Pod is Ready, and twice a rest, before the kubelet's restart and after it, in which a relapse would show.
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
from typing import Any, NamedTuple

from kubesim.api.objects import Object
from kubesim.cluster import Cluster, ready
from kubesim.errors import UserError
from kubesim.manifests import load
from kubesim.processes.control import ask_stack
from kubesim.processes.run_folder import find_running
from kubesim.processes.stack import ProcessStack
from kubesim.processes.users import RealUsers
from kubesim.sim.loop import SECOND
from kubesim.users.report import Counts

SPEC = "specs/stack.yaml"
RATE = 50
_WAIT_NS = 60 * SECOND
# The period at which the stack is probed, and on how many parts of it kills fall.
_PERIOD_S = 2.0
_MOMENTS = 8
_DATABASE, _API = "statefulset/postgres", "deployment/vehicle-api"


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


class _Load(NamedTuple):
    """What users had of it while something was done to the stack, and what that returned."""

    users: RealUsers
    counts: Counts
    result: Any


class _Bench:
    """A stack, and what is done to it under load."""

    def __init__(self, stack: ProcessStack) -> None:
        self.stack = stack
        self.cluster = stack.cluster
        self.cluster.apply(SPEC)
        self._wait(self._is_whole)
        self._rest(2)

    def _wait(self, holds: Callable[[], bool]) -> float:
        """Let time pass until it is so; returns seconds."""
        start_ns = self.stack.pacer.wall_ns()
        if not self.stack.pacer.run(start_ns + _WAIT_NS, holds):
            raise TimeoutError("the stack did not heal within a minute")
        return (self.stack.pacer.wall_ns() - start_ns) / SECOND

    def _rest(self, seconds: float) -> None:
        """Let time pass."""
        self.stack.pacer.run(self.stack.pacer.wall_ns() + round(seconds * SECOND))

    def _is_whole(self) -> bool:
        each = [ready(reference).holds(self.cluster) for reference in (_DATABASE, _API)]
        return all(each)

    def under_load(self, work: Callable[[], Any]) -> _Load:
        """Do it with users at work, and wait until each of them has an answer or has given up."""
        users = self.stack.start_users("vehicle-api", rate=RATE, write_percent=20)
        self._rest(1)
        start_ns = self.stack.pacer.wall_ns()
        result = work()
        end_ns = self.stack.pacer.wall_ns()
        users.stop()
        while users.is_waiting:
            self._rest(0.05)
        return _Load(users, users.count(start_ns, end_ns), result)

    def kill_often(self, workload: str, kills: int) -> list[float]:
        """kill -9 the process of one Pod of the workload again and again; how long each took to be Ready again."""
        took = []
        for number in range(1, kills + 1):
            self._rest(number % _MOMENTS / _MOMENTS * _PERIOD_S)
            took.append(self._kill(self.cluster.ready_pod_of(workload)))
            print(f"{workload} {number} of {kills}: ready again after {took[-1]:.2f} s", file=sys.stderr, flush=True)
        return took

    def _kill(self, pod: Object) -> float:
        reference, before = f"pod/{pod['metadata']['name']}", _restarts(pod)
        os.kill(self.stack.container_of(reference).pid, signal.SIGKILL)

        def is_back() -> bool:
            found = self.cluster.get(reference)
            return bool(_restarts(found) == before + 1 and found["status"]["containerStatuses"][0]["ready"])

        took = self._wait(is_back)
        self._wait(self._is_whole)
        self._rest(1)
        self.cluster.faults.stop_kubelet(pod["spec"]["nodeName"])
        self.cluster.faults.start_kubelet(pod["spec"]["nodeName"])
        self._rest(1)
        self._wait(self._is_whole)
        return took

    def roll_out(self) -> None:
        """A rolling update, until its last old Pods have ended."""
        self.cluster.restart_rollout("deployment/vehicle-api")
        self._rest(1)
        self._wait(self._is_whole)
        self._rest(8)


def _restarts(pod: Object) -> int:
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def measure(kills: int) -> dict[str, Any]:
    """All figures of the process runtime."""
    starts = [measure_start() for _ in range(3)]
    objects = [manifest.object for manifest in load(SPEC)]
    with ProcessStack(objects=objects) as stack:
        bench = _Bench(stack)
        database = bench.under_load(lambda: bench.kill_often(_DATABASE, kills))
        replica = bench.under_load(lambda: bench.kill_often(_API, kills))
        rollout = bench.under_load(bench.roll_out)
        loads = (database, replica, rollout)
        audits = [each.users.audit() for each in loads]
    return {
        "start to first 200, s": f"{min(starts):.2f} best, {statistics.median(starts):.2f} median of {len(starts)}",
        "kills of each": kills,
        "database ready again, s": _spread(database.result),
        "predicted": _spread(_predict(_DATABASE)),
        "database killed, served": _served(database),
        "replica ready again, s": _spread(replica.result),
        "predicted ": _spread(_predict(_API)),
        "replica killed, served": _served(replica),
        "rolling update, served": _served(rollout),
        "slowest answer, s": f"{max(each.users.slowest_ns() for each in loads) / SECOND:.2f}",
        "half answered within, ms": f"{(replica.users.duration_ns(0.5) or 0) / 1e6:.1f}",
        "acknowledged writes": sum(audit.kept + len(audit.lost) for audit in audits),
        "acknowledged writes lost": sum(len(audit.lost) for audit in audits),
        "load average": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }


def _served(load: _Load) -> str:
    reasons = ", ".join(f"{number} {reason}" for reason, number in load.users.reasons().items())
    counts = load.counts
    return f"{counts.availability:.3%}, all but {counts.unserved} of {counts.total} ({reasons or 'none'})"


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[0]:.2f} best, {statistics.median(ordered):.2f} median, {ordered[-1]:.2f} worst"


def _has_restarted(cluster: Cluster, pod: str) -> bool:
    return _restarts(cluster.get(pod)) == 1


def _predict(reference: str) -> list[float]:
    """What the simulated runtime says of such kills, in seconds until Ready."""
    found = []
    for moment in range(_MOMENTS):
        with Cluster() as cluster:
            cluster.apply(Path(SPEC))
            for workload in (_DATABASE, _API):
                cluster.until(ready(workload))
            cluster.run(2 + moment / _MOMENTS * _PERIOD_S)
            pod = f"pod/{cluster.ready_pod_of(reference)['metadata']['name']}"
            cluster.crash(pod, exit_code=137)
            start_ns = cluster.now_ns
            cluster.until(partial(_has_restarted, pod=pod))
            cluster.until(ready(pod))
            found.append((cluster.now_ns - start_ns) / SECOND)
    return found
