"""Namespace deletion: everything in a terminating namespace is deleted kind by kind, then its finalizer is taken off.

Woken by namespaces that are being deleted, five seconds after each of their changes. Pods go first, and nothing else is
touched while one is left. What remains is written into the namespace's conditions and looked at again after half of the
time that it is expected to take.

Upstream: pkg/controller/namespace/namespace_controller.go,
pkg/controller/namespace/deletion/{namespaced_resources_deleter,status_condition_utils}.go @v1.36
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, final

from kubesim.api.conditions import with_condition
from kubesim.api.kinds import ALL_KINDS, NAMESPACE, POD, verbs_of
from kubesim.api.objects import Object, with_status
from kubesim.api.requests import Options, Request, delete, get, list_all, update
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import from_time, to_time
from kubesim.client.ratelimit import ItemBackoff
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import DONE, ControllerContext, NotYetError, Reconcile, Result, Worker
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND

# Upstream: namespace_controller.go:namespaceDeletionGracePeriod, nsControllerRateLimiter
_GRACE_NS = 5 * SECOND
_BACKOFF_NS = 5 * MILLISECOND
_BACKOFF_NS_MAX = 60 * SECOND
# Upstream: namespaced_resources_deleter.go:finalizerEstimateSeconds
_FINALIZERS_S = 15
_TOKEN = "kubernetes"
_BACKGROUND = Options(propagation="Background")

# Type, and reason and message while nothing is wrong. Upstream: status_condition_utils.go:conditionTypes
_CONDITIONS = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


class Remains(NamedTuple):
    """What is left of one kind: the number of objects, how many of them each finalizer holds, how long it may take, and
    what went wrong."""

    kind: Kind
    number: int
    finalizers: Mapping[str, int]
    estimate_s: int
    problem: str


def namespaced_kinds() -> list[Kind]:
    """The kinds whose objects go with their namespace, one version of each, Pods first."""
    kinds = {POD.resource: POD}
    for kind in ALL_KINDS:
        if kind.namespaced and "delete" in verbs_of(kind):
            kinds.setdefault(kind.resource, kind)
    return list(kinds.values())


@final
class NamespaceController:
    """The control loop over namespaces that are being deleted."""

    name = "namespace-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._loop = context.loop
        self._queue = WorkQueue(context.loop, ItemBackoff(_BACKOFF_NS, _BACKOFF_NS_MAX))
        self._namespaces = context.informers.lister(NAMESPACE)
        context.informers.informer(NAMESPACE).add_handler(self._enqueue, lambda _, new: self._enqueue(new))
        # Upstream: --concurrent-namespace-syncs is 10 by default.
        self.workers = (Worker(self._queue, self.reconcile, 10),)

    def _enqueue(self, namespace: Object) -> None:
        if "deletionTimestamp" in namespace["metadata"]:
            self._queue.add_after(namespace["metadata"]["name"], _GRACE_NS)

    def reconcile(self, name: str) -> Reconcile:
        """Delete what is in the namespace; let it go when nothing is."""
        if self._namespaces.get("", name) is None:
            return DONE
        try:
            namespace = yield get(NAMESPACE, "", name)
            if "deletionTimestamp" not in namespace["metadata"] or not namespace["spec"].get("finalizers"):
                return DONE
            estimate_s = yield from self._delete_all_content(namespace)
            if estimate_s:
                return Result((estimate_s // 2 + 1) * SECOND)
            yield from _finalize(namespace)
        except ApiError as error:
            if error.code != 404:
                raise
        return DONE

    def _delete_all_content(self, namespace: Object) -> Generator[Request, Any, int]:
        """One pass over all kinds; returns for how long what remains is expected to, in seconds."""
        name = namespace["metadata"]["name"]
        deleted_at_ns = from_time(namespace["metadata"]["deletionTimestamp"])
        passed: list[Remains] = []
        for kind in namespaced_kinds():
            remains = yield from self._delete_kind(kind, name, deleted_at_ns)
            passed.append(remains)
            if kind is POD and remains.number:
                break
        now_ns = self._loop.now_ns
        conditions = compute_conditions(namespace["status"].get("conditions"), passed, now_ns)
        if conditions != namespace["status"].get("conditions"):
            # Upstream only logs a failure of this; the next pass writes them again.
            with suppress(ApiError):
                yield update(NAMESPACE, with_status(namespace, conditions=conditions), "status")
        problems = [remains.problem for remains in passed if remains.problem]
        if problems:
            raise NotYetError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
        return max(remains.estimate_s for remains in passed)

    def _delete_kind(self, kind: Kind, namespace: str, deleted_at_ns: int) -> Generator[Request, Any, Remains]:
        """Delete the namespace's objects of one kind, then see what is still there."""
        estimate_s = 0
        try:
            if kind is POD:
                found = yield list_all(POD, namespace)
                estimate_s = _graceful_estimate(found["items"])
                if self._loop.now_ns - deleted_at_ns >= estimate_s * SECOND:
                    estimate_s = 0
            if "deletecollection" in verbs_of(kind):
                yield Request("deletecollection", kind, namespace, options=_BACKGROUND)
            else:
                yield from _delete_each(kind, namespace)
            found = yield list_all(kind, namespace)
        except ApiError as error:
            return Remains(kind, 0, {}, estimate_s, error.message)
        items = found["items"]
        if not items:
            return Remains(kind, 0, {}, 0, "")
        finalizers: dict[str, int] = {}
        for item in items:
            for finalizer in item["metadata"].get("finalizers") or ():
                finalizers[finalizer] = finalizers.get(finalizer, 0) + 1
        if estimate_s:
            return Remains(kind, len(items), finalizers, estimate_s, "")
        if finalizers:
            return Remains(kind, len(items), finalizers, _FINALIZERS_S, "")
        resource = f"{kind.group}/{kind.version}, Resource={kind.plural}"
        message = f"unexpected items still remain in namespace: {namespace} for gvr: {resource}"
        return Remains(kind, len(items), {}, 0, message)


def _delete_each(kind: Kind, namespace: str) -> Generator[Request, Any, None]:
    found = yield list_all(kind, namespace)
    for item in found["items"]:
        try:
            yield delete(kind, namespace, item["metadata"]["name"], _BACKGROUND)
        except ApiError as error:
            if error.code not in (404, 405):
                raise


def _graceful_estimate(pods: Sequence[Object]) -> int:
    """The longest grace of a Pod that has not finished, in seconds."""
    return max(
        (
            pod["spec"].get("terminationGracePeriodSeconds", 0)
            for pod in pods
            if pod["status"].get("phase") not in ("Succeeded", "Failed")
        ),
        default=0,
    )


def _finalize(namespace: Object) -> Generator[Request, Any, None]:
    """Take off the finalizer that stands for the namespace's content."""
    while True:
        left = [each for each in namespace["spec"].get("finalizers") or () if each != _TOKEN]
        try:
            yield update(NAMESPACE, {**namespace, "spec": {**namespace["spec"], "finalizers": left}}, "finalize")
        except ApiError as error:
            if error.reason != "Conflict":
                raise
        else:
            return
        uid = namespace["metadata"]["uid"]
        namespace = yield get(NAMESPACE, "", namespace["metadata"]["name"])
        if namespace["metadata"]["uid"] != uid:
            raise NotYetError("namespace uid has changed across retries")


def compute_conditions(conditions: list[Object] | None, passed: Sequence[Remains], now_ns: int) -> list[Object]:
    """The namespace's conditions after a pass. While Pods hold up all else, what remains is not yet counted."""
    failing: dict[str, tuple[str, str]] = {}
    problems = sorted(remains.problem for remains in passed if remains.problem)
    if problems:
        failing["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(problems)} remaining: {', '.join(problems)}",
        )
    if len(passed) > 1:
        failing |= _remaining(passed)
    result: list[Object] = conditions or []
    at = to_time(now_ns)
    for kind, good_reason, good_message in _CONDITIONS:
        reason, message = failing.get(kind, (good_reason, good_message))
        condition = {
            "type": kind,
            "status": "True" if kind in failing else "False",
            "lastTransitionTime": at,
            "reason": reason,
            "message": message,
        }
        result = with_condition(result, condition)
    return result


def _remaining(passed: Sequence[Remains]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    resources = sorted(
        f"{remains.kind.plural}.{remains.kind.group} has {remains.number} resource instances"
        for remains in passed
        if remains.number
    )
    if resources:
        message = f"Some resources are remaining: {', '.join(resources)}"
        found["NamespaceContentRemaining"] = ("SomeResourcesRemain", message)
    totals: dict[str, int] = {}
    for remains in passed:
        for finalizer, count in remains.finalizers.items():
            totals[finalizer] = totals.get(finalizer, 0) + count
    if totals:
        held = ", ".join(sorted(f"{finalizer} in {count} resource instances" for finalizer, count in totals.items()))
        message = f"Some content in the namespace has finalizers remaining: {held}"
        found["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return found
