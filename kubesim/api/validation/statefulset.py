"""StatefulSets: most of the spec cannot change, and each claim template stands for a volume.

Upstream: pkg/apis/apps/validation/validation.go:ValidateStatefulSetSpec, ValidateStatefulSetUpdate @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api.objects import Object
from kubesim.api.validation.equality import equivalent
from kubesim.api.validation.field import forbidden, invalid, not_supported, required
from kubesim.api.validation.formats import dns_label, is_valid_selector, labels, nonnegative
from kubesim.api.validation.metadata import validate_annotations
from kubesim.api.validation.pod_template import validate_pod_annotations, validate_pod_template_spec
from kubesim.api.validation.rules import Rules
from kubesim.api.validation.storage import validate_claim_spec
from kubesim.api.validation.workloads import (
    amount_of,
    at_most,
    at_most_100_percent,
    collision_count,
    counts,
    positive_int_or_percent,
    template_causes,
    validate_always_running,
    validate_selector,
    validate_template_labels,
)
from kubesim.errors import Cause

_RETENTION_POLICIES = ("Retain", "Delete")
_CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_COUNTS = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)
_PARTS = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def _create(obj: Object) -> list[Cause]:
    return list(_spec(obj.get("spec") or {}, new=True, check_template=True))


def _update(new: Object, old: Object) -> list[Cause]:
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    if spec is old_spec:
        return []
    # A StatefulSet that was stored before some rule came is not held to it; its service name and claims cannot change.
    was_valid = next(_spec(old_spec, new=False, check_template=True), None) is None
    causes = list(_spec(spec, new=False, check_template=was_valid))
    if not equivalent(_fixed_part(spec), _fixed_part(old_spec)):
        causes.append(forbidden("spec", _FIXED))
    return causes


def _fixed_part(spec: Object) -> Object:
    fixed = {name: value for name, value in spec.items() if name not in _CHANGEABLE}
    # An empty name is a name left out.
    return {**fixed, "serviceName": spec.get("serviceName", "")}


def _spec(spec: Object, *, new: bool, check_template: bool) -> Iterator[Cause]:
    policy = spec.get("podManagementPolicy", "")
    if not policy:
        yield required("spec.podManagementPolicy")
    elif policy not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _update_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention is not None:
        for name in ("whenDeleted", "whenScaled"):
            value = retention.get(name, "")
            if value not in _RETENTION_POLICIES:
                yield not_supported(f"spec.persistentVolumeClaimRetentionPolicy.{name}", value, _RETENTION_POLICIES)
    if new:
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            yield from validate_claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
    yield from nonnegative("spec.replicas", spec.get("replicas", 0))
    yield from nonnegative("spec.minReadySeconds", spec.get("minReadySeconds", 0))
    yield from nonnegative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start", 0))
    if new and spec.get("serviceName"):
        yield from dns_label("spec.serviceName", spec["serviceName"])
    selector = spec.get("selector")
    yield from validate_selector(selector, "spec.selector", "statefulset")
    if not is_valid_selector(selector):
        yield invalid("spec.selector", selector, "")
    else:
        yield from _template(spec, check_template=check_template)
    yield from validate_always_running(spec.get("template") or {}, "StatefulSet")


def _update_strategy(strategy: Object, path: str) -> Iterator[Cause]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        yield required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            printed = _printed_rolling_update(rolling)
            yield invalid(f"{path}.rollingUpdate", printed, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind != "RollingUpdate":
        printed = {"Type": kind, "RollingUpdate": None if rolling is None else _printed_rolling_update(rolling)}
        yield invalid(path, printed, "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None:
        yield from nonnegative(f"{path}.rollingUpdate.partition", rolling.get("partition", 0))
        unavailable, at = rolling.get("maxUnavailable"), f"{path}.rollingUpdate.maxUnavailable"
        if unavailable is not None:
            yield from positive_int_or_percent(unavailable, at)
            if amount_of(unavailable) == 0:
                yield invalid(at, unavailable, "cannot be 0")
            yield from at_most_100_percent(unavailable, at)


def _printed_rolling_update(rolling: Object) -> Object:
    # Upstream prints its internal struct.
    return {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}


def _template(spec: Object, *, check_template: bool) -> Iterator[Cause]:
    template = spec.get("template") or {}
    yield from validate_template_labels(template, spec.get("selector"), "spec.template")
    if check_template:
        yield from _template_spec(template, spec)
    metadata = template.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    yield from labels("spec.template.labels", metadata.get("labels") or {})
    yield from validate_annotations(annotations, "spec.template.annotations")
    yield from validate_pod_annotations(annotations, template.get("spec") or {}, "spec.template.annotations")


def _template_spec(template: Object, spec: Object) -> Iterator[Cause]:
    """The template as its Pods will see it: the controller sets hostname, subdomain and the claims' volumes."""
    pod_spec = template.get("spec") or {}
    claims = spec.get("volumeClaimTemplates") or ()
    if not claims and not pod_spec.get("subdomain") and not pod_spec.get("hostname"):
        yield from template_causes(template)
        return
    pod_spec = {name: value for name, value in pod_spec.items() if name not in ("subdomain", "hostname")}
    if claims:
        names = [(claim.get("metadata") or {}).get("name", "") for claim in claims]
        volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in dict.fromkeys(names)]
        volumes += [volume for volume in pod_spec.get("volumes") or () if volume.get("name", "") not in names]
        pod_spec["volumes"] = volumes
    yield from validate_pod_template_spec({**template, "spec": pod_spec}, "spec.template")


def _status(new: Object, old: Object) -> list[Cause]:
    status = new.get("status") or {}
    return [
        *counts(status, _COUNTS),
        *at_most(status, _PARTS, "replicas", "status.replicas"),
        *at_most(status, ("availableReplicas",), "readyReplicas", "status.readyReplicas"),
        *collision_count(status, old.get("status") or {}),
    ]


RULES = {"statefulsets.apps": Rules(_create, _update, _status)}
