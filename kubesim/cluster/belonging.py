"""Which Pods and Events belong to a workload, among objects that are given: of a simulated cluster or of a real one."""

from __future__ import annotations

from collections.abc import Iterable

from kubesim.api.objects import Object, controller_of


def pods_of(obj: Object, replica_sets: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """The Pods of a workload, in the order given; of a Deployment those of its ReplicaSets; a Pod is its own."""
    if obj["kind"] == "Pod":
        return [obj]
    owners = {obj["metadata"]["uid"]}
    if obj["kind"] == "Deployment":
        owners = {each["metadata"]["uid"] for each in replica_sets if _controller_uid(each) in owners}
    return [pod for pod in pods if _controller_uid(pod) in owners]


def events_about(
    obj: Object, replica_sets: Iterable[Object], pods: Iterable[Object], events: Iterable[Object]
) -> list[Object]:
    """The Events about an object, and about the ReplicaSets and Pods that it controls."""
    uids = {obj["metadata"]["uid"]}
    for controlled in (replica_sets, pods):
        uids |= {each["metadata"]["uid"] for each in controlled if _controller_uid(each) in uids}
    return [event for event in events if event["involvedObject"].get("uid") in uids]


def _controller_uid(obj: Object) -> str:
    owner = controller_of(obj)
    return str(owner["uid"]) if owner is not None else ""
