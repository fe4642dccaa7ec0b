"""What a write says about the object that it was made from, and the refusals where the stored one is another.

Upstream: apiserver/pkg/registry/generic/registry/store.go:Update,
apiserver/pkg/storage/interfaces.go:Preconditions.Check @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.apiserver.request_options import written_revision
from kubesim.errors import STALE_WRITE, ApiError, Cause, conflict, invalid

# Upstream: pkg/kubeapiserver/default_storage_factory_builder.go:specialDefaultResourcePrefixes, and each kind's storage
_PREFIXES = {
    "endpoints": "services/endpoints",
    "ingresses.networking.k8s.io": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
_NOT_GIVEN = "Invalid value: 0: must be specified for an update"


def check_uid(kind: Kind, metadata: Object, old: Object) -> None:
    """Raise 409 where `metadata` has the uid of another object."""
    uid = metadata.get("uid")
    found = old["metadata"]["uid"]
    if uid and uid != found:
        raise _failed(kind, old, f"UID in precondition: {uid}, UID in object meta: {found}")


def check_version(kind: Kind, metadata: Object, old: Object) -> None:
    """Raise 409 where `metadata` has another resourceVersion, which is a binding's precondition."""
    version = metadata.get("resourceVersion")
    found = old["metadata"]["resourceVersion"]
    if version and version != found:
        why = f"ResourceVersion in precondition: {version}, ResourceVersion in object meta: {found}"
        raise _failed(kind, old, why)


def _failed(kind: Kind, old: Object, why: str) -> ApiError:
    metadata = old["metadata"]
    parts = ("/registry", _PREFIXES.get(kind.resource, kind.plural), metadata.get("namespace"), metadata["name"])
    key = "/".join(part for part in parts if part)
    return conflict(
        kind.plural,
        kind.group,
        metadata["name"],
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: {why}",
    )


def check_resource_version(kind: Kind, metadata: Object, before: Object, is_optional: bool) -> None:
    """Raise 409 where an update was made from another state; 422 where it does not say from which but must."""
    version = metadata.get("resourceVersion")
    if version == before["resourceVersion"]:
        return
    if written_revision(version or ""):
        raise conflict(kind.plural, kind.group, before["name"], STALE_WRITE)
    if not is_optional:
        # Upstream names the resource, not the kind, in this one.
        cause = Cause("FieldValueInvalid", "metadata.resourceVersion", _NOT_GIVEN)
        raise invalid(kind.plural, kind.group, before["name"], (cause,))
