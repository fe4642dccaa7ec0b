"""Bugs that Kubernetes had or has: what they were, the form without the fix, and schedules that look for them.

`python tests/mutants/bugs.py` plays schedules against both forms: the old one must be found by some seed, the fixed one
by none.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from mutants import Edit  # noqa: E402 - its folder is no package


class Bug(NamedTuple):
    """`edits` turn our form into the other one: the old one, or where `is_present` the one that would be fixed."""

    issue: str
    broken: str
    edits: tuple[Edit, ...]
    town: str
    draw: Callable[[random.Random], Any]
    is_present: bool = False
    prepare: Callable[[Any], None] = lambda _: None


def _late_pods(chance: random.Random) -> Any:
    """The Pods that a scale-up makes are seen minutes late; meanwhile the Deployment is scaled again."""
    from kubesim.faults import Disturbance
    from kubesim.faults.arguments import Component, Duration, KindName, LateWatches, Reference, Scale

    second = 1_000_000_000
    of, by = Reference("deployment/web"), Component("kube-controller-manager")
    late = LateWatches(by=by, of=KindName("pod"), delay=Duration(chance.choice((30, 200, 400)) * second))
    begin = chance.randrange(20)
    again = chance.randrange(60, 420)
    return (
        Disturbance(fault="delayWatches", argument=late, at=Duration(begin * second), lasts=Duration(450 * second)),
        Disturbance(fault="scale", argument=Scale(of=of, replicas=5), at=Duration((begin + 1) * second)),
        Disturbance(fault="scale", argument=Scale(of=of, replicas=6), at=Duration((begin + again) * second)),
    )


def _moving_pod(chance: random.Random) -> Any:
    """A Pod moves to another node; then the kubelet that had it starts again."""
    from kubesim.faults import Disturbance
    from kubesim.faults.arguments import Delete, Duration, NodeTarget, Reference

    second = 1_000_000_000
    of = Reference("statefulset/cache")
    node = NodeTarget(node=f"node-{chance.randrange(3) + 1}")
    return (
        Disturbance(fault="cordon", argument=node, at=Duration(5 * second), lasts=Duration(100 * second)),
        Disturbance(fault="delete", argument=Delete(of=of, index=chance.randrange(2)), at=Duration(10 * second)),
        Disturbance(fault="stopKubelet", argument=node, at=Duration(40 * second), lasts=Duration(10 * second)),
    )


def _lagging_server(cluster: Any) -> None:
    """From 40 s on, kubelets that list for the first time do so at a server that is still at the state of 2 s."""
    from kubesim.client.trouble import StaleReads

    second = 1_000_000_000

    def freeze(_: None) -> None:
        past = cluster.plane.freeze()
        cluster.loop.post(38 * second, begin, StaleReads(past, ("pod",)))

    def begin(trouble: StaleReads) -> None:
        cluster.plane.begin_trouble("kubelet", trouble)
        cluster.loop.post(60 * second, cluster.plane.end_trouble, trouble)

    cluster.loop.post(2 * second, freeze, None)


def _keep_nodes(cluster: Any) -> None:
    """Every node is kept for the Pods that tolerate its taint."""
    for node in cluster.list("nodes"):
        taints = [{"key": "only-for", "value": "web", "effect": "NoExecute"}]
        cluster.patch(f"node/{node['metadata']['name']}", {"spec": {"taints": taints}})


def _short_silence(chance: random.Random) -> Any:
    """A node is not heard of for less than the five minutes that Pods tolerate it."""
    from kubesim.faults import Disturbance
    from kubesim.faults.arguments import Duration, NodeTarget

    second = 1_000_000_000
    node = NodeTarget(node=f"node-{chance.randrange(3) + 1}")
    at, lasts = chance.randrange(10, 60), chance.randrange(60, 280)
    return (Disturbance(fault="stopKubelet", argument=node, at=Duration(at * second), lasts=Duration(lasts * second)),)


def _calm(_: random.Random) -> Any:
    return ()


BUGS = (
    Bug(
        "kubernetes#129795",
        "a ReplicaSet whose Pods are seen more than five minutes late creates them once more",
        (Edit("kubesim.controllers.replicaset", "        self._written.check(key)\n", ""),),
        "town.yaml",
        _late_pods,
    ),
    Bug(
        "kubernetes#59848",
        "a kubelet that starts again lists from a server that lags, and runs a Pod once more that has moved on",
        (
            Edit(
                "kubesim.client.informer",
                'options = msgspec.structs.replace(options, resource_version="0")',
                'options = msgspec.structs.replace(options, resource_version="")',
            ),
        ),
        "town.yaml",
        _moving_pod,
        is_present=True,
        prepare=_lagging_server,
    ),
    Bug(
        "kubernetes#90794",
        "a Pod that a lost node was to be rid of is evicted although the node is back, where it has another taint",
        (
            Edit(
                "kubesim.controllers.taint_eviction",
                "        if wait_ns is None:\n            self._call_off(key)\n            return\n",
                "        if wait_ns is None:\n            if not taints:\n                self._call_off(key)\n"
                "            return\n",
            ),
        ),
        "dedicated.yaml",
        _short_silence,
        prepare=_keep_nodes,
    ),
    Bug(
        "kubernetes#72593",
        "a ReplicaSet replaces Pods that a node rejects at once and without end",
        (
            Edit(
                "kubesim.controllers.replicaset",
                "            yield from self._create_pods(key, replica_set, min(diff, BURST_REPLICAS))\n",
                "            failed = [\n"
                "                pod\n"
                "                for pod in pods_of(self._pods, replica_set)\n"
                '                if pod["status"].get("phase") == "Failed"\n'
                "            ]\n"
                "            if failed:\n"
                "                wait_ns = min(SECOND << min(len(failed), 9), 300 * SECOND)\n"
                "                made_ns = getattr(self, 'made_ns', {})\n"
                "                if self._loop.now_ns - made_ns.get(key, -wait_ns) < wait_ns:\n"
                "                    self._queue.add_after(key, wait_ns)\n"
                "                    return\n"
                "                self.made_ns = {**made_ns, key: self._loop.now_ns}\n"
                "            yield from self._create_pods(key, replica_set, min(diff, BURST_REPLICAS))\n",
            ),
        ),
        "rejected.yaml",
        _calm,
        is_present=True,
    ),
)


def play(bug: Bug, seconds: float, *, edited: bool) -> dict[str, Any]:
    """In this process: schedules against one form until one breaks a promise or the time is over."""
    import patching

    if edited:
        patching.apply(bug.edits)
    import campaign

    town = campaign.Town(str(HERE / bug.town), disturbed_s=480)
    started, seed = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        violation = campaign.play(
            town, bug.draw(random.Random(seed)), seed, converges=bug.town == "town.yaml", prepare=bug.prepare
        )
        if violation is not None:
            return {"seed": seed, "text": f"{violation.invariant}: {violation.subject} {violation.text}"}
        seed += 1
    return {"seed": None, "tried": seed}


def main() -> int:
    """Both forms of each bug; 1 when an old one is not found or a fixed one is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--play", nargs=2)
    arguments = parser.parse_args()
    if arguments.play:
        issue, form = arguments.play
        bug = next(each for each in BUGS if each.issue == issue)
        print(json.dumps(play(bug, arguments.seconds, edited=form == "edited")))
        return 0
    wrong = 0
    for bug in BUGS:
        for form in ("plain", "edited"):
            is_old = (form == "edited") != bug.is_present
            command = [sys.executable, __file__, "--play", bug.issue, form, "--seconds", str(arguments.seconds)]
            environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            found = json.loads(done.stdout) if not done.returncode else {"error": done.stderr[-300:]}
            is_right = (found.get("seed") is not None) == is_old and "error" not in found
            wrong += not is_right
            print(
                f"{'ok   ' if is_right else 'WRONG'} {bug.issue} {'old' if is_old else 'fixed':5} {found}", flush=True
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
