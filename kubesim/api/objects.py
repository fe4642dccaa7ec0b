"""API objects as JSON-shaped values, and the few ways of looking at them and making new ones from them.

An object is a `dict` in the shape of its JSON. It is never changed once another part can see it: whoever wants a
different one builds it with a dict display (`{**pod, "status": status}`) so that old and new share every untouched
part. That makes snapshots, watch caches and the old object of an update free. Tests run with a detector that notices
a change in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Object = dict[str, Any]


class Key(NamedTuple):
    """The identity of an object within its kind; `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


# A named tuple's own constructor is a Python function; for the few made several times per write that counts.
new_tuple = tuple.__new__


def key_of(obj: Object) -> Key:
    """The object's namespace and name."""
    metadata = obj["metadata"]
    return new_tuple(Key, (metadata.get("namespace", ""), metadata["name"]))


def labels_of(obj: Object) -> Mapping[str, str]:
    """The object's labels, an empty mapping where it has none."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> Mapping[str, str]:
    """The object's annotations, an empty mapping where it has none."""
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Object) -> bool:
    """Whether deletion has been asked for and the object is still there."""
    return "deletionTimestamp" in obj["metadata"]


def with_metadata(obj: Object, **changes: Any) -> Object:
    """The object with these metadata fields set; a value of None removes the field."""
    metadata = {**obj["metadata"], **changes}
    for name, value in changes.items():
        if value is None:
            del metadata[name]
    return {**obj, "metadata": metadata}


def with_status(obj: Object, **changes: Any) -> Object:
    """The object with these status fields set; a value of None removes the field."""
    status = {**(obj.get("status") or {}), **changes}
    for name, value in changes.items():
        if value is None:
            del status[name]
    return {**obj, "status": status}


def controller_of(obj: Object) -> Object | None:
    """The owner reference with `controller: true`, or None."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Object = reference
            return found
    return None


def owner_reference(owner: Object) -> Object:
    """A controlling, deletion-blocking reference to `owner`.

    Upstream: apimachinery/pkg/apis/meta/v1/controller_ref.go:NewControllerRef @v1.36
    """
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
