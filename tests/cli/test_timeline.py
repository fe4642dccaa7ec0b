"""The timeline tells each thing once, names who did it, and says why."""

from __future__ import annotations

import re

import pytest

from kubesim.cli.timeline import Line, Narrator, together
from kubesim.cluster import Cluster, ready
from kubesim.faults import Injector
from kubesim.faults.arguments import Cascade, Delete, Reference
from kubesim.testing.builders import deployment


def test_lines_of_a_group_are_told_together():
    """With how many there were, what they were about, and what the last of them said."""
    lines = [
        Line(n, f"kubelet/node-{n}", f"{n}", "start", f"p{n}", "{n} Pods: {items}, {tail}", f"t{n}") for n in range(6)
    ]

    (line,) = together(lines)

    assert (line.at_ns, line.actor, line.text) == (0, "kubelets", "6 Pods: p0, p1, p2, p3 and 2 more, t5")


def test_what_follows_another_cause_is_told_apart():
    """A line without a group may be the cause of what comes after it."""
    first, second = (Line(n, "a", f"{n}", "g", f"p{n}", "{n}: {items}") for n in (1, 3))

    assert [line.text for line in together([first, Line(2, "b", "cause"), second])] == ["1", "cause", "3"]


def test_what_comes_much_later_is_told_apart():
    """Equal things minutes apart are two things."""
    lines = [Line(n * 60_000_000_000, "a", f"{n}", "g", f"p{n}", "{n}: {items}") for n in range(2)]

    assert [line.text for line in together(lines)] == ["0", "1"]


def story(cluster):
    """The lines of a cluster, without their times."""
    return [f"{line.actor}: {line.text}" for line in together(Narrator().tell(cluster.trace.records))]


def test_a_crash_is_told_in_order():
    """The fault, who found it, and what was done about it."""
    with Cluster(nodes=1) as cluster:
        cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "a"},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            }
        )
        cluster.until(ready("pod/a"))
        cluster.crash("pod/a", exit_code=3)
        cluster.run(5)

        lines = story(cluster)

    told = lines[lines.index("fault: a: the process of container c exits with code 3") :]
    assert told == [
        "fault: a: the process of container c exits with code 3",
        "kubelet/node-1: found container c of a ended (exit code 3)",
        "kubelet/node-1: restarted container c of a in place, restart 1",
        "kubelet/node-1: a is Ready",
    ]


def test_a_pod_without_a_node_says_why():
    """In the scheduler's own words, once."""
    spec = {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "64"}}}]}
    with Cluster(nodes=2) as cluster:
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
        cluster.run(60)

        lines = [line for line in story(cluster) if "finds no node" in line]

    assert lines == ["scheduler: finds no node for a: 0/2 nodes are available: 2 Insufficient cpu"]


@pytest.mark.parametrize(
    "cascade, told",
    [
        (
            "background",
            [
                "user: deletes ReplicaSet web",
                "gc: deletes 2 Pods of web",
                "kubelet/node-1: stopped 2 Pods of web",
            ],
        ),
        (
            "foreground",
            [
                "user: deletes ReplicaSet web: it goes when all that belongs to it is gone",
                "gc: deletes 2 Pods of web",
                "kubelet/node-1: stopped 2 Pods of web",
                "gc: ReplicaSet web is gone",
            ],
        ),
        (
            "orphan",
            [
                "user: deletes ReplicaSet web: what belongs to it is to stay",
                "gc: lets go of 2 Pods of ReplicaSet web",
                "gc: ReplicaSet web is gone",
                "replicaset: adopts 2 Pods",
            ],
        ),
    ],
)
def test_a_deletion_tells_what_becomes_of_the_rest(cascade, told):
    """Who waits for whom, and who finds the orphans."""
    like = deployment("web", replicas=2, pod_spec={"terminationGracePeriodSeconds": 1})
    wanted = {**like, "kind": "ReplicaSet"}
    with Cluster(nodes=1) as cluster:
        cluster.create(wanted)
        cluster.until(ready("replicaset/web"))
        begun = len(story(cluster))
        Injector(cluster).inject("delete", Delete(of=Reference("replicaset/web"), cascade=Cascade(cascade)))
        cluster.run(10)
        if cascade == "orphan":
            cluster.create(wanted)
            cluster.run(1)

        lines = [re.sub(r"(Pods[^:]*): .*", r"\1", line) for line in story(cluster)[begun:]]

    assert [line for line in lines if "applies" not in line and "found containers" not in line] == told
