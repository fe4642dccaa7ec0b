"""Pods and PodTemplates.

Upstream: pkg/apis/core/validation/validation.go:ValidatePodCreate, ValidatePodTemplate @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation.field import forbidden
from kubesim.api.validation.pod_spec import validate_spec_of_pod
from kubesim.api.validation.pod_status import validate_pod_status_update
from kubesim.api.validation.pod_template import validate_pod_annotations, validate_pod_template_spec
from kubesim.api.validation.pod_update import validate_pod_update
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause


def _create(pod: Object) -> list[Cause]:
    spec = pod.get("spec") or {}
    annotations = annotations_of(pod)
    causes: list[Cause] = []
    if annotations:
        causes += validate_pod_annotations(annotations, spec, "metadata.annotations")
    causes += validate_spec_of_pod(spec, pod["metadata"].get("name", ""))
    if spec.get("ephemeralContainers"):
        causes.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        causes.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return causes


def _create_template(template: Object) -> list[Cause]:
    return list(validate_pod_template_spec(template.get("template") or {}, "template"))


def _update_template(new: Object, _old: Object) -> list[Cause]:
    return _create_template(new)


RULES = {
    "pods": Rules(_create, validate_pod_update, validate_pod_status_update),
    "podtemplates": Rules(_create_template, _update_template),
}
