"""ObjectMeta: what every object must say about itself, and what an update must leave alone.

Upstream checks the metadata of one request several times: the generic registry once on create and twice on update, and
each kind's own validation as often as it happens to call the shared functions. Every check repeats its causes, and the
causes of a refused request show it. So a sound object takes one pass here, and only a broken one is walked again in
upstream's order, from the row of its kind in `_ROWS`.

Upstream: apimachinery/pkg/api/validation/objectmeta.go, apiserver/pkg/registry/rest/{create,update}.go,
pkg/apis/core/validation/validation.go:ValidateObjectMeta @v1.36
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from kubesim.api import names
from kubesim.api.memo import IdentityMemo
from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.api.validation import field, formats
from kubesim.errors import Cause

_ANNOTATIONS_BYTES_MAX = 256 * 1024
_MANAGER_BYTES_MAX = 128
_SUBRESOURCE_BYTES_MAX = 256
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_IMMUTABLE_TEXT = "field is immutable"
_REFERENCE_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")


class _Row(NamedTuple):
    """How a kind checks its metadata.

    `name` is the rule for names; `finalizers` whether a finalizer without a prefix must be a standard one; `update`
    the checks that the kind's own update validation makes, in order: `c` those of a create, `u` those of an update.
    """

    name: Callable[[str], Sequence[str]] = names.dns_1123_subdomain
    finalizers: bool = True
    update: str = "u"


_DEFAULT_ROW = _Row()
_RBAC_ROW = _Row(names.path_segment_name, update="cu")
_UNCHECKED_ROW = _Row(names.path_segment_name, finalizers=False, update="")
_ROWS: dict[str, _Row] = {
    "certificatesigningrequests.certificates.k8s.io": _Row(names.path_segment_name, update="cu"),
    "clusterrolebindings.rbac.authorization.k8s.io": _RBAC_ROW,
    "clusterroles.rbac.authorization.k8s.io": _RBAC_ROW,
    "configmaps": _Row(update="uc"),
    "endpoints": _Row(update="uc"),
    "endpointslices.discovery.k8s.io": _Row(update="c"),
    "events": _UNCHECKED_ROW,
    "leases.coordination.k8s.io": _Row(finalizers=False),
    "namespaces": _Row(names.dns_1123_label, update="cu"),
    "nodes": _Row(update="cu"),
    "persistentvolumeclaims": _Row(update="uc"),
    "persistentvolumes": _Row(update="cc"),
    "poddisruptionbudgets.policy": _UNCHECKED_ROW,
    "rolebindings.rbac.authorization.k8s.io": _RBAC_ROW,
    "roles.rbac.authorization.k8s.io": _RBAC_ROW,
    "secrets": _Row(update="uc"),
    "serviceaccounts": _Row(update="uc"),
    "services": _Row(names.dns_1123_label),
    "statefulsets.apps": _Row(names.dns_1123_label),
    "storageclasses.storage.k8s.io": _Row(update="cu"),
}


def is_checked_last(kind: Kind) -> bool:
    """Whether a new object's metadata are looked at only when nothing else is wrong with it.

    Upstream: apiserver/pkg/registry/rest/create.go:BeforeCreate @v1.36
    """
    return _ROWS.get(kind.resource) is _UNCHECKED_ROW


def validate_object_meta(kind: Kind, metadata: Object) -> list[Cause]:
    """The rules that a new object's metadata breaks. The name must have been generated already.

    Upstream: apimachinery/pkg/api/validation/objectmeta.go:ValidateObjectMetaAccessor @v1.36
    """
    row = _ROWS.get(kind.resource, _DEFAULT_ROW)
    causes = [*_names(row.name, metadata), *_common(kind, metadata)]
    return [*causes, *_standard_finalizers(row, metadata)] if metadata.get("finalizers") else causes


def validate_object_meta_update(kind: Kind, new: Object, old: Object) -> list[Cause]:
    """The rules that replacing the metadata `old` with `new` breaks, each as often as upstream reports it.

    Upstream: apiserver/pkg/registry/rest/update.go:BeforeUpdate @v1.36
    """
    row = _ROWS.get(kind.resource, _DEFAULT_ROW)
    if not (_common(kind, new) or _transition(new, old) or _standard_finalizers(row, new)):
        return []
    causes = [*_names(names.path_segment_name, new), *_common(kind, new), *_update(new, old)]
    for check in row.update:
        causes += validate_object_meta(kind, new) if check == "c" else _update(new, old)
        if check == "u":
            causes += _standard_finalizers(row, new)
    return causes


def _names(rule: Callable[[str], Sequence[str]], metadata: Object) -> Sequence[Cause]:
    prefix, name = metadata.get("generateName"), metadata.get("name")
    if not prefix:
        problems: Sequence[str] = ()
    elif rule is names.path_segment_name:
        # A path segment has no end that a suffix could mend.
        problems = rule(prefix)
    else:
        problems = rule(names.generated_prefix(prefix))
    name_problems = rule(name) if name else ()
    if name and not problems and not name_problems:
        return ()
    causes = list(formats.check("metadata.generateName", prefix, problems))
    if name:
        causes += formats.check("metadata.name", name, name_problems)
    else:
        causes.append(field.required("metadata.name", "name or generateName is required"))
    return causes


def _common(kind: Kind, metadata: Object) -> Sequence[Cause]:
    """The checks that create and update share: everything but names and finalizers' standard names."""
    causes: tuple[Cause, ...] = ()
    namespace = metadata.get("namespace")
    if kind.namespaced:
        if not namespace:
            causes = (field.required("metadata.namespace"),)
        elif names.dns_1123_label(namespace):
            causes = tuple(formats.dns_label("metadata.namespace", namespace))
    elif namespace:
        causes = (field.forbidden("metadata.namespace", "not allowed on this type"),)
    if metadata.get("generation", 0) < 0:
        causes += tuple(formats.nonnegative("metadata.generation", metadata["generation"]))
    causes += _shared_maps(metadata)
    if metadata.get("finalizers"):
        causes += tuple(_finalizers(metadata["finalizers"]))
    if metadata.get("managedFields"):
        causes += _checked_managers(metadata["managedFields"])
    return causes


def _shared_maps(metadata: Object) -> tuple[Cause, ...]:
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    references = metadata.get("ownerReferences")
    causes = _checked_labels(labels) if labels else ()
    if annotations:
        causes += _checked_annotations(annotations)
    if references:
        causes += _checked_references(references)
    return causes


def _labels(labels: Object) -> tuple[Cause, ...]:
    return tuple(formats.labels("metadata.labels", labels))


def validate_labels(labels: Object, path: str) -> Iterator[Cause]:
    """The rules that a map of labels breaks."""
    return formats.labels(path, labels)


def _annotations(annotations: Object) -> tuple[Cause, ...]:
    return tuple(validate_annotations(annotations, "metadata.annotations"))


def validate_annotations(annotations: Object, path: str) -> Iterator[Cause]:
    """The rules that annotations break: keys are qualified names of any case, keys and values together have a limit.

    Upstream: apimachinery/pkg/api/validation/objectmeta.go:ValidateAnnotations @v1.36
    """
    characters = 0
    for key, value in annotations.items():
        yield from formats.check(path, key, names.qualified_name(key.lower()))
        characters += len(key) + len(value)
    if characters * 4 > _ANNOTATIONS_BYTES_MAX and _size_bytes(annotations) > _ANNOTATIONS_BYTES_MAX:
        yield field.too_long(path, _ANNOTATIONS_BYTES_MAX)


def _size_bytes(annotations: Object) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())


def _references(references: list[Object]) -> tuple[Cause, ...]:
    """Upstream: apimachinery/pkg/api/validation/objectmeta.go:ValidateOwnerReferences @v1.36"""
    path = "metadata.ownerReferences"
    causes: list[Cause] = []
    first_controller = ""
    for reference in references:
        causes += _reference(path, reference)
        if reference.get("controller"):
            controller = f"{reference.get('kind', '')}/{reference.get('name', '')}"
            if first_controller:
                why = 'Only one reference can have Controller set to true. Found "true" in references for '
                printed = [_printed_reference(each) for each in references]
                causes.append(field.invalid(path, printed, f"{why}{first_controller} and {controller}"))
            else:
                first_controller = controller
    return tuple(causes)


def _reference(path: str, reference: Object) -> Iterator[Cause]:
    api_version = reference.get("apiVersion", "")
    if api_version in ("", "/") or api_version.endswith("/") or api_version.count("/") > 1:
        yield field.invalid(f"{path}.apiVersion", api_version, "version must not be empty")
    for name in ("kind", "name", "uid"):
        if not reference.get(name):
            yield field.invalid(f"{path}.{name}", "", "must not be empty")
    if reference.get("kind") == "Event" and api_version == "v1":
        why = "/v1, Kind=Event is disallowed from being an owner"
        yield field.invalid(path, _printed_reference(reference), why)


def _printed_reference(reference: Object) -> Object:
    """The reference with its fields in the order of upstream's struct, as it is printed in causes."""
    return {
        name: reference.get(name, "")
        for name in _REFERENCE_FIELDS
        if name in reference or name not in ("controller", "blockOwnerDeletion")
    }


def _finalizers(finalizers: list[str]) -> Iterator[Cause]:
    """Upstream: apimachinery/pkg/api/validation/objectmeta.go:ValidateFinalizers @v1.36"""
    path = "metadata.finalizers"
    for finalizer in finalizers:
        yield from formats.qualified_name(path, finalizer)
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        yield field.invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")


def standard_finalizer(path: str, finalizer: str) -> Iterator[Cause]:
    """A finalizer with a prefix, or one of the three without.

    Upstream: pkg/apis/core/validation/validation.go:validateKubeFinalizerName @v1.36
    """
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        yield field.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")


def _standard_finalizers(row: _Row, metadata: Object) -> Sequence[Cause]:
    finalizers = metadata.get("finalizers")
    if not finalizers or not row.finalizers:
        return ()
    return [
        cause
        for index, finalizer in enumerate(finalizers)
        for cause in standard_finalizer(f"metadata.finalizers[{index}]", finalizer)
    ]


def _managers(entries: list[Object]) -> tuple[Cause, ...]:
    """Upstream: apimachinery/pkg/apis/meta/v1/validation/validation.go:ValidateManagedFields @v1.36"""
    causes: list[Cause] = []
    for index, entry in enumerate(entries):
        path = f"metadata.managedFields[{index}]"
        operation, fields_type = entry.get("operation", ""), entry.get("fieldsType", "")
        if operation not in ("Apply", "Update"):
            causes.append(field.invalid(f"{path}.operation", operation, "must be `Apply` or `Update`"))
        if fields_type not in ("", "FieldsV1"):
            causes.append(field.invalid(f"{path}.fieldsType", fields_type, "must be `FieldsV1`"))
        if len(entry.get("manager", "").encode()) > _MANAGER_BYTES_MAX:
            causes.append(field.too_long(f"{path}.manager", _MANAGER_BYTES_MAX))
        if len(entry.get("subresource", "").encode()) > _SUBRESOURCE_BYTES_MAX:
            causes.append(field.too_long(f"{path}.subresource", _SUBRESOURCE_BYTES_MAX))
    return tuple(causes)


_checked_labels: IdentityMemo[tuple[Cause, ...]] = IdentityMemo(_labels)
_checked_annotations: IdentityMemo[tuple[Cause, ...]] = IdentityMemo(_annotations)
_checked_references: IdentityMemo[tuple[Cause, ...]] = IdentityMemo(_references)
_checked_managers: IdentityMemo[tuple[Cause, ...]] = IdentityMemo(_managers)


def immutable(path: str, new: Any, old: Any) -> Iterator[Cause]:
    """A value that must not differ from the one before; absent is None.

    Upstream: apimachinery/pkg/api/validation/objectmeta.go:ValidateImmutableField @v1.36
    """
    if new != old:
        yield field.invalid(path, new, _IMMUTABLE_TEXT)


def _update(new: Object, old: Object) -> list[Cause]:
    """Upstream: apimachinery/pkg/api/validation/objectmeta.go:ValidateObjectMetaAccessorUpdate @v1.36"""
    managers = new.get("managedFields")
    return [*_transition(new, old), *_shared_maps(new), *(_checked_managers(managers) if managers else ())]


def _transition(new: Object, old: Object) -> list[Cause]:
    """What an update must leave alone."""
    causes: list[Cause] = []
    if "deletionTimestamp" in old and new.get("finalizers"):
        added = sorted(set(new["finalizers"]).difference(old.get("finalizers") or ()))
        if added:
            listed = ", ".join(field.go_quote(finalizer) for finalizer in added)
            why = "no new finalizers can be added if the object is being deleted, found new finalizers "
            causes.append(field.forbidden("metadata.finalizers", f"{why}[]string{{{listed}}}"))
    if not new.get("resourceVersion"):
        causes.append(field.invalid("metadata.resourceVersion", "", "must be specified for an update"))
    if new.get("generation", 0) < old.get("generation", 0):
        causes.append(field.invalid("metadata.generation", new.get("generation", 0), "must not be decremented"))
    for name in _IMMUTABLE:
        if new.get(name) != old.get(name):
            causes += immutable(f"metadata.{name}", new.get(name), old.get(name))
    return causes
