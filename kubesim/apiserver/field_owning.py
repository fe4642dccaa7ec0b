"""What a write to a kind makes of the owners of its fields, and what it cannot own.

Upstream: pkg/registry/<group>/<kind>/strategy.go:GetResetFields @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.ownership.field_sets import EMPTY, FieldSet, of_paths
from kubesim.api.ownership.managers import Owners, Structure, Writer, after_update
from kubesim.api.ownership.shapes import UntypableError
from kubesim.api.scheme import Kind
from kubesim.api.timestamps import to_time
from kubesim.apiserver.field_ledger import Wish

_SPEC, _STATUS, _METADATA = ("f:spec",), ("f:status",), ("f:metadata",)
# Kinds whose status subresource leaves all of metadata alone.
_STATUS_ALONE = (
    "customresourcedefinitions.apiextensions.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "resourceclaims.resource.k8s.io",
    "servicecidrs.networking.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "volumeattachments.storage.k8s.io",
)
_RESETS: dict[tuple[str, str], FieldSet] = {
    ("pods", "status"): of_paths(
        [_SPEC, (*_METADATA, "f:deletionTimestamp"), (*_METADATA, "f:ownerReferences")],
    ),
    ("deployments.apps", "status"): of_paths([_SPEC, (*_METADATA, "f:labels")]),
    ("certificatesigningrequests.certificates.k8s.io", ""): of_paths([_SPEC, _STATUS]),
    ("certificatesigningrequests.certificates.k8s.io", "status"): of_paths([_SPEC, (*_STATUS, "f:conditions")]),
    ("certificatesigningrequests.certificates.k8s.io", "approval"): of_paths([_SPEC, (*_STATUS, "f:certificate")]),
    **{(resource, "status"): of_paths([_SPEC, _METADATA]) for resource in _STATUS_ALONE},
}
_OF_STATUS, _OF_ALL = of_paths([_SPEC]), of_paths([_STATUS])


def resets(kind: Kind, subresource: str) -> FieldSet:
    """What the strategy of a subresource puts back, so that no write through it can own it."""
    found = _RESETS.get((kind.resource, subresource))
    if found is not None:
        return found
    if "status" not in kind.subresources:
        return EMPTY
    return _OF_STATUS if subresource == "status" else _OF_ALL


def update_owners(owners: Owners, before: Object, by: Wish) -> Owners:
    """The owners after a write over `before`; none where the objects cannot be compared: upstream clears them then."""
    kind = by.kind
    writer = Writer(by.manager, kind.api_version, by.subresource)
    structure = Structure(kind.schema, resets(kind, by.subresource))
    try:
        return after_update(owners, before, by.wanted, writer, to_time(by.at_ns), structure)
    except UntypableError:
        return {}
