"""What a node's silence means for the Pods on it.

Upstream: pkg/controller/util/node/controller_utils.go:MarkPodsNotReady @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from kubesim.api.conditions import find_condition, with_condition
from kubesim.api.kinds import POD
from kubesim.api.objects import Object
from kubesim.api.requests import Request, update
from kubesim.api.timestamps import to_time
from kubesim.client.recorder import Recorder
from kubesim.controllers.base import Wait
from kubesim.errors import ApiError
from kubesim.sim.loop import Loop


def mark_pods_not_ready(
    loop: Loop, recorder: Recorder, pods: Iterable[Object]
) -> Generator[Request | Wait, Any, ApiError | None]:
    """Set the Pods' Ready to False, one after the other; returns the first failure. Pods that are gone are none."""
    failure: ApiError | None = None
    for pod in pods:
        conditions = pod["status"].get("conditions")
        ready = find_condition(conditions, "Ready")
        if ready is None or ready["status"] == "False":
            continue
        changed = {**ready, "status": "False", "lastTransitionTime": to_time(loop.now_ns)}
        status = {**pod["status"], "conditions": with_condition(conditions, changed)}
        try:
            yield update(POD, {**pod, "status": status}, "status")
        except ApiError as error:
            if error.code == 404:
                continue
            failure = failure or error
        recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
    return failure
