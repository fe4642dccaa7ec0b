"""What an update may change of a Pod: images, the active deadline, more tolerations, fewer scheduling gates.

Upstream: pkg/apis/core/validation/validation.go:ValidatePodUpdate @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubesim.api import names
from kubesim.api.kinds import POD
from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation.equality import equivalent
from kubesim.api.validation.field import forbidden, invalid, required
from kubesim.api.validation.metadata import validate_object_meta
from kubesim.api.validation.pod_internal_form import internal_form, spec_diff
from kubesim.api.validation.pod_placement import validate_tolerations
from kubesim.api.validation.pod_spec import validate_spec_of_pod
from kubesim.api.validation.pod_template import MIRROR_ANNOTATION, validate_pod_annotations
from kubesim.errors import Cause

_MAX_INT32 = 2**31 - 1
_UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def validate_pod_update(new: Object, old: Object) -> list[Cause]:
    """The rules that an update through the Pod itself breaks; little is looked at when the spec is the same object."""
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    annotations, old_annotations = annotations_of(new), annotations_of(old)
    # Upstream looks at the metadata once more as it does on create, and reports what it finds once more.
    causes = [] if new["metadata"] is old["metadata"] else validate_object_meta(POD, new["metadata"])
    if annotations:
        causes += validate_pod_annotations(annotations, spec, "metadata.annotations")
    if spec is not old_spec:
        causes += validate_spec_of_pod(spec, new["metadata"].get("name", ""))
    if annotations is not old_annotations:
        causes += validate_annotation_changes(annotations, old_annotations, spec)
    if spec is not old_spec:
        causes += _spec_changes(spec, old_spec)
    return causes


def validate_annotation_changes(new: Mapping[str, str], old: Mapping[str, str], spec: Object) -> Iterator[Cause]:
    """The mirror annotation stays as it is; what the annotations mean is checked again."""
    path = f"metadata.annotations[{MIRROR_ANNOTATION}]"
    before, after = old.get(MIRROR_ANNOTATION), new.get(MIRROR_ANNOTATION)
    if before is not None and before != after:
        yield forbidden(path, "may not remove or update mirror pod annotation")
    elif before is None and after is not None:
        yield forbidden(path, "may not add mirror pod annotation")
    yield from validate_pod_annotations(new, spec, "metadata.annotations")


def _spec_changes(spec: Object, old: Object) -> list[Cause]:
    causes: list[Cause] = []
    for name in ("containers", "initContainers"):
        containers = spec.get(name) or ()
        if len(containers) != len(old.get(name) or ()):
            causes.append(forbidden(f"spec.{name}", "pod updates may not add or remove containers"))
            return causes
        causes += _images(containers, f"spec.{name}")
    deadline, stop = _deadline_change(spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    causes += deadline
    if stop:
        return causes
    causes += _added_tolerations(spec.get("tolerations") or (), old.get("tolerations") or ())
    causes += _deleted_gates(spec.get("schedulingGates") or (), old.get("schedulingGates") or ())
    if equivalent(spec, old):
        return causes
    munged = _without_allowed_changes(spec, old)
    if old.get("schedulingGates"):
        gated, munged = _gated_changes(munged, old)
        causes += gated
    if not equivalent(munged, old):
        allowed = ",".join(_UPDATABLE)
        prose = f"pod updates may not change fields other than {allowed}\n{spec_diff(old, munged)}"
        causes.append(forbidden("spec", prose))
    return causes


def _images(containers: Sequence[Object], path: str) -> Iterator[Cause]:
    for index, container in enumerate(containers):
        image = container.get("image", "")
        if not image:
            yield required(f"{path}[{index}].image")
        if image != image.strip():
            yield invalid(f"{path}[{index}].image", image, "must not have leading or trailing whitespace")


def _deadline_change(new: int | None, old: int | None) -> tuple[list[Cause], bool]:
    """What is wrong with a new active deadline, and whether upstream stops looking there."""
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if old is None:
            return [], False
        return [invalid(path, None, "must not update from a positive integer to nil value")], False
    if not 0 <= new <= _MAX_INT32:
        return [invalid(path, new, names.out_of_range(0, _MAX_INT32))], True
    if old is not None and old < new:
        return [invalid(path, new, "must be less than or equal to previous value")], True
    return [], False


def _added_tolerations(new: Sequence[Object], old: Sequence[Object]) -> list[Cause]:
    kept = [_without(toleration, "tolerationSeconds") for toleration in new]
    if any(_without(toleration, "tolerationSeconds") not in kept for toleration in old):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        return [forbidden("spec.tolerations", detail)]
    return list(validate_tolerations(new, "spec.tolerations"))


def _deleted_gates(new: Sequence[Object], old: Sequence[Object]) -> Iterator[Cause]:
    known = {gate.get("name") for gate in old}
    for index, gate in enumerate(new):
        name = gate.get("name", "")
        if name not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{name}'"
            yield forbidden(f"spec.schedulingGates[{index}].name", detail)


def _without(holder: Object, name: str) -> Object:
    return {key: value for key, value in holder.items() if key != name}


def _with_field(spec: Object, name: str, value: Any) -> Object:
    return _without(spec, name) if value is None else {**spec, name: value}


def _without_allowed_changes(spec: Object, old: Object) -> Object:
    """The new spec with everything that may change set back to what it was."""
    munged = spec
    for name in ("containers", "initContainers"):
        if spec.get(name):
            pairs = zip(spec[name], old[name], strict=True)
            munged = {**munged, name: [_with_field(new, "image", before.get("image")) for new, before in pairs]}
    for name in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        munged = _with_field(munged, name, old.get(name))
    grace_period_s = old.get("terminationGracePeriodSeconds")
    if grace_period_s is not None and grace_period_s < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged = {**munged, "terminationGracePeriodSeconds": grace_period_s}
    return munged


def _gated_changes(munged: Object, old: Object) -> tuple[list[Cause], Object]:
    """A gated Pod may still be told more narrowly where to run: the causes, and the spec with that set back."""
    causes: list[Cause] = []
    selector, old_selector = munged.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if selector != old_selector:
        if any(selector.get(key) != value for key, value in old_selector.items()):
            detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            causes.append(invalid("spec.nodeSelector", munged.get("nodeSelector"), detail))
        munged = _with_field(munged, "nodeSelector", old.get("nodeSelector"))
    affinity, old_affinity = munged.get("affinity") or {}, old.get("affinity") or {}
    node, old_node = affinity.get("nodeAffinity"), old_affinity.get("nodeAffinity")
    if not equivalent(node, old_node):
        causes += _node_affinity_change(node or {}, old_node or {})
        affinity = _with_field(affinity, "nodeAffinity", old_node)
        munged = _with_field(munged, "affinity", affinity if affinity or "affinity" in old else None)
    return causes, munged


def _node_affinity_change(new: Object, old: Object) -> list[Cause]:
    if old.get(_REQUIRED) is None:
        return []
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    old_terms = old[_REQUIRED].get("nodeSelectorTerms") or []
    new_terms = (new.get(_REQUIRED) or {}).get("nodeSelectorTerms")
    if old_terms and len(old_terms) != len(new_terms or ()):
        printed = None if new_terms is None else [internal_form("NodeSelectorTerm", term) for term in new_terms]
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [invalid(path, printed, detail)]
    causes = []
    for index, (term, old_term) in enumerate(zip(new_terms or (), old_terms, strict=False)):
        if not _has_only_additions(term, old_term):
            detail = "only additions are allowed (no mutations or deletions)"
            causes.append(invalid(f"{path}[{index}]", internal_form("NodeSelectorTerm", term), detail))
    return causes


def _has_only_additions(new: Object, old: Object) -> bool:
    names_of_lists = ("matchExpressions", "matchFields")
    if not any(old.get(name) for name in names_of_lists):
        return not any(new.get(name) for name in names_of_lists)
    for name in names_of_lists:
        before = old.get(name) or []
        if not equivalent((new.get(name) or [])[: len(before)], before):
            return False
    return True
