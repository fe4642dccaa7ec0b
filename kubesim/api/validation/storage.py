"""PersistentVolumeClaim and StorageClass.

Upstream: pkg/apis/core/validation/validation.go:ValidatePersistentVolumeClaim,
pkg/apis/storage/validation/validation.go:ValidateStorageClass @v1.36
"""

from __future__ import annotations

from collections.abc import Iterator

from kubesim.api import names, quantity
from kubesim.api.objects import Object, annotations_of
from kubesim.api.validation import field, formats, internal_form
from kubesim.api.validation.container_resources import is_native, validate_amount
from kubesim.api.validation.metadata import immutable
from kubesim.api.validation.rules import Rules
from kubesim.errors import Cause

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"

_FIXED_SPEC = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
)
_APPLIED_CLASS = "is forbidden when status.currentVolumeAttributesClassName is not nil"
_RESIZE_STATES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)
_PARAMETERS_MAX = 512
_PARAMETERS_BYTES_MAX = 256 * 1024


def access_modes(modes: list[str], path: str) -> Iterator[Cause]:
    """The access modes of a claim or volume, ReadWriteOncePod being on its own."""
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield field.not_supported(path, mode, ACCESS_MODES)
    known = {mode for mode in modes if mode in ACCESS_MODES}
    if "ReadWriteOncePod" in known and len(known) > 1:
        yield field.forbidden(path, "may not use ReadWriteOncePod with other access modes")


def positive_quantity(path: str, amount: str) -> Iterator[Cause]:
    """A quantity of more than nothing."""
    if quantity.parse(amount).nano <= 0:
        yield field.invalid(path, quantity.canonical(amount), "must be greater than zero")


def validate_claim_spec(spec: Object, path: str) -> Iterator[Cause]:
    """The spec of a claim, also of one that a Pod's ephemeral volume describes.

    Upstream: pkg/apis/core/validation/validation.go:ValidatePersistentVolumeClaimSpec @v1.36
    """
    modes = spec.get("accessModes") or []
    if not modes:
        yield field.required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from formats.label_selector(f"{path}.selector", spec.get("selector"))
    yield from access_modes(modes, f"{path}.accessModes")
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if amount is None:
        yield field.required(f"{path}.resources[storage]")
    else:
        yield from positive_quantity(f"{path}.resources[storage]", amount)
    if spec.get("storageClassName"):
        yield from formats.dns_subdomain(f"{path}.storageClassName", spec["storageClassName"])
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        yield field.not_supported(f"{path}.volumeMode", mode, VOLUME_MODES)
    yield from _data_sources(spec, path)
    if spec.get("volumeAttributesClassName"):
        yield from formats.dns_subdomain(f"{path}.volumeAttributesClassName", spec["volumeAttributesClassName"])


def _data_sources(spec: Object, path: str) -> Iterator[Cause]:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        yield from _data_source(source, f"{path}.dataSource")
    if reference is not None:
        yield from _data_source(reference, f"{path}.dataSourceRef")
    if source is None or reference is None:
        return
    if any(source.get(name) != reference.get(name) for name in ("apiGroup", "kind", "name")):
        # Upstream prints a struct without exported fields here.
        yield field.invalid(path, {}, "must match dataSourceRef")


def _data_source(source: Object, path: str) -> Iterator[Cause]:
    for name in ("name", "kind"):
        if not source.get(name):
            yield field.required(f"{path}.{name}")
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not group and kind != "PersistentVolumeClaim":
        why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        yield field.invalid(path, kind, why)
    if group:
        yield from formats.dns_subdomain(f"{path}.apiGroup", group)


def _claim(obj: Object) -> list[Cause]:
    return list(validate_claim_spec(obj.get("spec") or {}, "spec"))


def _claim_update(new: Object, old: Object) -> list[Cause]:
    if new.get("spec") is old.get("spec"):
        return list(_class_annotation(new, old))
    return [*_claim(new), *_claim_change(new, old)]


def _claim_change(new: Object, old: Object) -> Iterator[Cause]:
    """What of a claim may not change: everything but the size and attributes class of a bound one.

    Upstream: pkg/apis/core/validation/validation.go:ValidatePersistentVolumeClaimUpdate @v1.36
    """
    spec, old_spec, old_status = new.get("spec") or {}, old.get("spec") or {}, old.get("status") or {}
    form, old_form = internal_form.claim_spec(spec), internal_form.claim_spec(old_spec)
    if not old_spec.get("volumeName"):
        old_form["VolumeName"] = form["VolumeName"]
    if _is_class_moved_to_spec(new, old):
        form["StorageClassName"] = None
    else:
        yield from _class_annotation(new, old)
        if _is_class_set_late(new, old):
            form["StorageClassName"] = old_form["StorageClassName"]
    requests, old_requests = form["Resources"]["Requests"], old_form["Resources"]["Requests"] or {}
    if (new.get("status") or {}).get("phase") == "Bound":
        if requests is not None:
            form["Resources"]["Requests"] = {**requests, "storage": old_requests.get("storage", "0")}
        form["VolumeAttributesClassName"] = old_form["VolumeAttributesClassName"]
    if form != old_form:
        yield field.forbidden("spec", _FIXED_SPEC + internal_form.difference(old_form, form))
    size, old_size = (requests or {}).get("storage", "0"), old_requests.get("storage", "0")
    reached = (old_status.get("capacity") or {}).get("storage", "0")
    if quantity.compare(size, old_size) < 0 and quantity.compare(size, reached) <= 0:
        yield field.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    yield from immutable("volumeMode", spec.get("volumeMode"), old_spec.get("volumeMode"))
    yield from _attributes_class(spec, old_spec, old_status)


def _attributes_class(spec: Object, old_spec: Object, old_status: Object) -> Iterator[Cause]:
    name = spec.get("volumeAttributesClassName")
    if name == old_spec.get("volumeAttributesClassName") or "currentVolumeAttributesClassName" not in old_status:
        return
    if name is None:
        yield field.forbidden("spec.volumeAttributesClassName", f"update to nil {_APPLIED_CLASS}")
    elif not name:
        yield field.forbidden("spec.volumeAttributesClassName", f"update to empty string {_APPLIED_CLASS}")


def _class_annotation(new: Object, old: Object) -> Iterator[Cause]:
    path = f"metadata.annotations.{CLASS_ANNOTATION}"
    value, old_value = annotations_of(new).get(CLASS_ANNOTATION, ""), annotations_of(old).get(CLASS_ANNOTATION, "")
    return immutable(path, value, old_value)


def _is_class_moved_to_spec(new: Object, old: Object) -> bool:
    """Upstream: pkg/apis/core/validation/validation.go:validateStorageClassUpgradeFromAnnotation @v1.36"""
    annotated = annotations_of(old).get(CLASS_ANNOTATION)
    return (
        annotated is not None
        and "storageClassName" not in old["spec"]
        and new["spec"].get("storageClassName") == annotated
        and annotations_of(new).get(CLASS_ANNOTATION, annotated) == annotated
    )


def _is_class_set_late(new: Object, old: Object) -> bool:
    """Upstream: pkg/apis/core/validation/validation.go:validateStorageClassUpgradeFromNil @v1.36"""
    name: str | None = new["spec"].get("storageClassName")
    if name is None or "storageClassName" in old["spec"]:
        return False
    annotated: str = annotations_of(old).get(CLASS_ANNOTATION, name)
    return name == annotated


def _claim_status(new: Object, _old: Object) -> list[Cause]:
    """Upstream: pkg/apis/core/validation/validation.go:ValidatePersistentVolumeClaimStatusUpdate @v1.36"""
    status = new.get("status") or {}
    causes: list[Cause] = []
    for name, amount in (status.get("capacity") or {}).items():
        causes += basic_amount(f"status.capacity[{name}]", amount)
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        causes += _claim_resource("status.allocatedResourceStatuses", name)
        if state not in _RESIZE_STATES:
            causes.append(field.not_supported("status.allocatedResourceStatuses", name, sorted(_RESIZE_STATES)))
    for name, amount in (status.get("allocatedResources") or {}).items():
        path = f"status.allocatedResources[{name}]"
        problems = _claim_resource("status.allocatedResources", name) or list(basic_amount(path, amount))
        causes += problems or validate_amount("storage", amount, path)
    return causes


def basic_amount(path: str, amount: str) -> Iterator[Cause]:
    """A quantity of nothing or more."""
    if quantity.value(amount) < 0:
        yield field.invalid(path, quantity.value(amount), "must be a valid resource quantity")


def _claim_resource(path: str, name: str) -> list[Cause]:
    causes = list(formats.qualified_name(path, name))
    if not causes and is_native(name) and name != "storage":
        causes.append(field.not_supported(path, name, ("storage",)))
    return causes


def _storage_class(obj: Object) -> list[Cause]:
    provisioner = obj.get("provisioner", "")
    causes: list[Cause] = []
    if provisioner:
        causes += formats.qualified_name("provisioner", provisioner.lower())
    else:
        causes.append(field.required("provisioner"))
    causes += _parameters(obj.get("parameters") or {})
    policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    if policy and policy not in ("Delete", "Retain"):
        causes.append(field.not_supported("reclaimPolicy", policy, ("Delete", "Retain")))
    modes = ("Immediate", "WaitForFirstConsumer")
    if mode is None:
        causes.append(field.required("volumeBindingMode"))
    elif mode not in modes:
        causes.append(field.not_supported("volumeBindingMode", mode, modes))
    causes += _topologies(obj.get("allowedTopologies") or [])
    return causes


def _parameters(parameters: Object) -> Iterator[Cause]:
    if len(parameters) > _PARAMETERS_MAX:
        yield field.too_long("parameters", _PARAMETERS_MAX)
        return
    if "" in parameters:
        yield field.invalid("parameters", "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _PARAMETERS_BYTES_MAX:
        yield field.too_long("parameters", _PARAMETERS_BYTES_MAX)


def _topologies(terms: list[Object]) -> Iterator[Cause]:
    """Upstream: pkg/apis/core/validation/validation.go:ValidateTopologySelectorTerm @v1.36"""
    earlier: list[dict[str, frozenset[str]]] = []
    for index, term in enumerate(terms):
        path = f"allowedTopologies[{index}].matchLabelExpressions"
        expressions: dict[str, frozenset[str]] = {}
        for at, requirement in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = requirement.get("key", ""), requirement.get("values") or []
            if not values:
                yield field.required(f"{path}[{at}].values")
            for place, value in enumerate(values):
                if value in values[:place]:
                    yield field.duplicate(f"{path}[{at}].values[{place}]", value)
            yield from formats.check(f"{path}[{at}].key", key, names.qualified_name(key))
            if key in expressions:
                yield field.duplicate(f"{path}[{at}].key", key)
            expressions[key] = frozenset(values)
        for _ in (term for term in earlier if term == expressions):
            yield field.duplicate(path, "")
        earlier.append(expressions)


def _storage_class_update(new: Object, old: Object) -> list[Cause]:
    parameters = new.get("parameters") or {}
    causes = _storage_class(new)
    if parameters != (old.get("parameters") or {}):
        printed = {key: parameters[key] for key in sorted(parameters)} or None
        causes.append(field.invalid("parameters", printed, "field is immutable"))
    for name in ("provisioner", "reclaimPolicy", "volumeBindingMode"):
        causes += immutable(name, new.get(name, ""), old.get(name, ""))
    return causes


RULES: dict[str, Rules] = {
    "persistentvolumeclaims": Rules(_claim, _claim_update, _claim_status),
    "storageclasses.storage.k8s.io": Rules(_storage_class, _storage_class_update),
}
