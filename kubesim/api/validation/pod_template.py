"""Pod templates inside workloads.

Upstream: pkg/apis/core/validation/validation.go:ValidatePodTemplateSpec, ValidatePodSpecificAnnotations @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubesim.api.objects import Object
from kubesim.api.validation.field import forbidden, invalid
from kubesim.api.validation.formats import labels
from kubesim.api.validation.metadata import validate_annotations
from kubesim.api.validation.pod_spec import validate_pod_spec
from kubesim.errors import Cause

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def validate_pod_template_spec(template: Object, path: str) -> Iterator[Cause]:
    """A `PodTemplateSpec`; labels and annotations are reported at `path` itself, as upstream does."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    yield from labels(f"{path}.labels", metadata.get("labels") or {})
    yield from validate_annotations(annotations, f"{path}.annotations")
    yield from validate_pod_annotations(annotations, spec, f"{path}.annotations")
    yield from validate_pod_spec(spec, f"{path}.spec", is_pod=False)
    if spec.get("ephemeralContainers"):
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def validate_pod_annotations(annotations: Mapping[str, str], spec: Object, path: str) -> Iterator[Cause]:
    """The annotations that mean something on a Pod."""
    if MIRROR_ANNOTATION in annotations and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        yield invalid(f"{path}[{MIRROR_ANNOTATION}]", annotations[MIRROR_ANNOTATION], detail)
    cost = annotations.get(_DELETION_COST)
    if cost is not None and not is_deletion_cost(cost):
        yield invalid(f"{path}[{_DELETION_COST}]", cost, "must be a 32bit integer")


def is_deletion_cost(text: str) -> bool:
    """A 32-bit integer without plus sign or leading zeros (upstream looks for these only where there is no minus).

    Upstream: pkg/apis/core/helper/helpers.go:GetDeletionCostFromPodAnnotations @v1.36
    """
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or (text[0] == "0" and text != "0"):
        return False
    return -(2**31) <= int(text) < 2**31
