"""What the API server answers where that is not simply the object: names that are taken, deletions."""

from __future__ import annotations

from typing import Any

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError, already_exists, generated_name_taken


def taken(kind: Kind, metadata: Object, found: Object) -> ApiError:
    """409 for a name that is taken. Upstream: store.go:create, rest/create.go:CheckGeneratedNameError @v1.36"""
    refuse = generated_name_taken if metadata.get("generateName") else already_exists
    error = refuse(kind.plural, kind.group, metadata["name"])
    if "deletionTimestamp" in found["metadata"]:
        error.message = f"object is being deleted: {error.message}"
    return error


def deleted(kind: Kind, metadata: Object) -> Object:
    """The Status of a kind whose deletes do not answer with the object."""
    details: dict[str, Any] = {"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]}
    if kind.group:
        details["group"] = kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
