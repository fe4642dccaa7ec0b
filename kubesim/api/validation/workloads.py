"""Deployments, ReplicaSets and ControllerRevisions, and what all workloads ask of selector and template.

Upstream: pkg/apis/apps/validation/validation.go @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import names, selectors
from kubesim.api.int_or_string import IntOrString
from kubesim.api.kinds import CONTROLLER_REVISION
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.api.validation.equality import equivalent
from kubesim.api.validation.field import forbidden, invalid, not_supported, required
from kubesim.api.validation.formats import is_valid_selector, label_selector, nonnegative
from kubesim.api.validation.metadata import validate_object_meta
from kubesim.api.validation.pod_template import validate_pod_template_spec
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

_STRATEGIES = ("Recreate", "RollingUpdate")
_DEPLOYMENT_COUNTS = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
)
_REPLICA_SET_COUNTS = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
)


def validate_selector(selector: Object | None, path: str, workload: str) -> Iterator[Cause]:
    """A workload's selector: there, well-formed and not empty; `workload` names the kind in the last complaint."""
    if selector is None:
        yield required(path)
        return
    yield from label_selector(path, selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid(path, selector, f"empty selector is invalid for {workload}")


def validate_template_labels(template: Object, selector: Object | None, path: str) -> Iterator[Cause]:
    """The Pods of a workload must be its own: the selector matches the template's labels."""
    labels = (template.get("metadata") or {}).get("labels")
    if not selectors.compile_selector(selector)(labels or {}):
        yield invalid(f"{path}.metadata.labels", labels, "`selector` does not match template `labels`")


def _check_template(template: Object) -> tuple[Cause, ...]:
    return tuple(validate_pod_template_spec(template, "spec.template"))


# A Deployment and its ReplicaSets are written again and again with the template that they share.
template_causes: IdentityMemo[tuple[Cause, ...]] = IdentityMemo(_check_template)


def validate_always_running(template: Object, workload: str, *, path: str = "spec.template.spec") -> Iterator[Cause]:
    """Pods that their controller replaces must be ones that would run for ever."""
    spec = template.get("spec") or {}
    policy = spec.get("restartPolicy", "")
    if policy != "Always":
        yield not_supported(f"{path}.restartPolicy", policy, ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        yield forbidden(f"{path}.activeDeadlineSeconds", f"activeDeadlineSeconds in {workload} is not Supported")


def _template(spec: Object, selector_detail: str) -> Iterator[Cause]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    if not is_valid_selector(selector):
        yield invalid("spec.selector", selector, selector_detail)
        return
    yield from validate_template_labels(template, selector, "spec.template")
    yield from template_causes(template)
    yield from validate_always_running(template, "ReplicaSet")


def _deployment_spec(spec: Object) -> Iterator[Cause]:
    yield from nonnegative("spec.replicas", spec.get("replicas", 0))
    yield from validate_selector(spec.get("selector"), "spec.selector", "deployment")
    yield from _template(spec, "invalid label selector")
    yield from _strategy(spec.get("strategy") or {}, "spec.strategy")
    min_ready_s = spec.get("minReadySeconds", 0)
    yield from nonnegative("spec.minReadySeconds", min_ready_s)
    yield from nonnegative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit", 0))
    deadline_s = spec.get("progressDeadlineSeconds")
    if deadline_s is not None:
        yield from nonnegative("spec.progressDeadlineSeconds", deadline_s)
        if deadline_s <= min_ready_s:
            yield invalid("spec.progressDeadlineSeconds", deadline_s, "must be greater than minReadySeconds")


def _strategy(strategy: Object, path: str) -> Iterator[Cause]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden(f"{path}.rollingUpdate", detail)
    elif kind != "RollingUpdate":
        printed = {"Type": kind, "RollingUpdate": _printed_rolling_update(rolling)}
        yield not_supported(path, printed, _STRATEGIES)
    elif rolling is None:
        yield required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
    else:
        yield from _rolling_update(rolling, f"{path}.rollingUpdate")


def _printed_rolling_update(rolling: Object | None) -> Object | None:
    # Upstream prints its internal struct, where an absent number is 0.
    if rolling is None:
        return None
    return {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}


def _rolling_update(rolling: Object, path: str) -> Iterator[Cause]:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    yield from positive_int_or_percent(unavailable, f"{path}.maxUnavailable")
    yield from positive_int_or_percent(surge, f"{path}.maxSurge")
    if amount_of(unavailable) == 0 and amount_of(surge) == 0:
        yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_100_percent(unavailable, f"{path}.maxUnavailable")


def positive_int_or_percent(value: IntOrString, path: str) -> Iterator[Cause]:
    """A count, or a percentage."""
    if isinstance(value, str):
        for message in names.percent(value):
            yield invalid(path, value, message)
    else:
        yield from nonnegative(path, value)


def at_most_100_percent(value: IntOrString, path: str) -> Iterator[Cause]:
    """A percentage of no more than the whole; counts pass."""
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def amount_of(value: IntOrString) -> int:
    """The number in front of the percent sign, the count itself, or 0 for what is neither."""
    if isinstance(value, int):
        return value
    if not names.percent(value):
        return int(value[:-1])
    # Upstream reads a string that is no percentage as a plain number, and as 0 when it is not one either.
    return int(value) if value.isascii() and value.isdigit() else 0


def _create_deployment(deployment: Object) -> list[Cause]:
    return list(_deployment_spec(deployment.get("spec") or {}))


def _update_deployment(new: Object, old: Object) -> list[Cause]:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    return [*_deployment_spec(spec), *immutable_selector(spec, old_spec)]


def immutable_selector(spec: Object, old: Object) -> Iterator[Cause]:
    """A selector cannot change: Pods that no longer match would be left behind."""
    selector = spec.get("selector")
    if not equivalent(selector, old.get("selector")):
        yield invalid("spec.selector", selector, "field is immutable")


def counts(status: Object, names_of_counts: tuple[str, ...]) -> Iterator[Cause]:
    """The counters of a status: none below zero."""
    for name in names_of_counts:
        if status.get(name, 0) < 0:
            yield from nonnegative(f"status.{name}", status[name])


def at_most(status: Object, names_of_counts: tuple[str, ...], limit: str, said: str) -> Iterator[Cause]:
    """Counters that are parts of the counter `limit`."""
    most = status.get(limit, 0)
    for name in names_of_counts:
        count = status.get(name, 0)
        if count > most:
            yield invalid(f"status.{name}", count, f"cannot be greater than {said}")


def collision_count(status: Object, old_status: Object) -> Iterator[Cause]:
    """The collision count only grows."""
    count, old_count = status.get("collisionCount"), old_status.get("collisionCount")
    if old_count is not None and (count is None or count < old_count):
        yield invalid("status.collisionCount", count or 0, "cannot be decremented")


def _deployment_status(new: Object, old: Object) -> list[Cause]:
    status = new.get("status") or {}
    parts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return [
        *counts(status, _DEPLOYMENT_COUNTS),
        *at_most(status, parts, "replicas", "status.replicas"),
        *at_most(status, ("availableReplicas",), "readyReplicas", "readyReplicas"),
        *collision_count(status, old.get("status") or {}),
    ]


def _replica_set_spec(spec: Object) -> Iterator[Cause]:
    yield from nonnegative("spec.replicas", spec.get("replicas", 0))
    yield from nonnegative("spec.minReadySeconds", spec.get("minReadySeconds", 0))
    # Upstream says deployment here too.
    yield from validate_selector(spec.get("selector"), "spec.selector", "deployment")
    yield from _template(spec, "invalid label selector")


def _create_replica_set(replica_set: Object) -> list[Cause]:
    return list(_replica_set_spec(replica_set.get("spec") or {}))


def _update_replica_set(new: Object, old: Object) -> list[Cause]:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    return [*_replica_set_spec(spec), *immutable_selector(spec, old_spec)]


def _replica_set_status(new: Object, _old: Object) -> list[Cause]:
    status = new.get("status") or {}
    parts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return [
        *counts(status, _REPLICA_SET_COUNTS),
        *at_most(status, parts, "replicas", "status.replicas"),
        *at_most(status, ("availableReplicas",), "readyReplicas", "readyReplicas"),
    ]


def _create_revision(revision: Object) -> list[Cause]:
    causes = list(nonnegative("revision", revision.get("revision", 0)))
    data = revision.get("data")
    if data is None:
        causes.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        causes.append(required("data", "data must be a valid JSON object"))
    return causes


def _update_revision(new: Object, old: Object) -> list[Cause]:
    # Upstream checks the metadata once more as it does on create.
    causes = validate_object_meta(CONTROLLER_REVISION, new["metadata"])
    causes += nonnegative("revision", new.get("revision", 0))
    if new.get("data") != old.get("data"):
        causes.append(invalid("data", new.get("data"), "field is immutable"))
    return causes


RULES = {
    "deployments.apps": Rules(_create_deployment, _update_deployment, _deployment_status),
    "replicasets.apps": Rules(_create_replica_set, _update_replica_set, _replica_set_status),
    "controllerrevisions.apps": Rules(_create_revision, _update_revision),
}
