"""Schedules of one fault, and what is looked for in the trace."""

from __future__ import annotations

from kubesim.faults import Disturbance, WriteEvent, arm
from kubesim.faults.arguments import Duration, Reference

SECOND = 1_000_000_000
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "web:1"}]},
        },
    },
}
OF_WEB = Reference("deployment/web")


def seconds(number):
    """A duration."""
    return Duration(int(number * SECOND))


def strike(cluster, fault, argument, lasts_s=None, after=None):
    """Let a fault strike now, or after a write; returns what is armed."""
    lasts = None if lasts_s is None else seconds(lasts_s)
    at = Duration(0) if after is None else None
    disturbance = Disturbance(fault=fault, argument=argument, at=at, after_write=after, lasts=lasts)
    armed = arm(cluster, (disturbance,))
    if after is None:
        cluster.run(0.001)
    return armed


def created(cluster, since_ns=0, actor="replicaset-controller"):
    """The seconds since `since_ns` at which this actor has created Pods."""
    return [
        (record.at_ns - since_ns) / SECOND
        for record in cluster.trace.records
        if record.at_ns >= since_ns and (record.actor, record.verb) == (actor, "created") and "pod/" in record.subject
    ]


def nth_pod(number):
    """The number-th Pod that a ReplicaSet gets."""
    return WriteEvent(by="replicaset-controller", verb="created", of="pod", number=number)
