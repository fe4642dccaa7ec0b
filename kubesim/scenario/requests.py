"""Requests that a scenario's steps write out, as the values that both bodies of the port send."""

from __future__ import annotations

from typing import Any, Final

from kubesim.api.kinds import find_kind, nearest_kind
from kubesim.api.objects import Object
from kubesim.api.requests import PatchType, Request, create, patch
from kubesim.api.scheme import Kind
from kubesim.errors import UserError

_PATCH_TYPES: Final[dict[str, PatchType]] = {"strategic": "strategic", "merge": "merge", "json": "json"}


def creation_of(obj: Object, namespace: str) -> Request:
    """The creation of an object, in the namespace given where it needs one and names none.

    Raises:
        UserError: there is no such kind.
    """
    version, name = obj.get("apiVersion", ""), obj.get("kind", "")
    kind = find_kind(version, name)
    if kind is None:
        raise UserError(f"no kind {name} in {version}; did you mean {nearest_kind(version, name)}?")
    metadata = obj.get("metadata") or {}
    if kind.namespaced and "namespace" not in metadata:
        obj = {**obj, "metadata": {**metadata, "namespace": namespace or "default"}}
    return create(kind, obj)


def patch_of(place: tuple[Kind, str, str], change: Any, patch_type: str, subresource: str) -> Request:
    """The patch of an object, given by kind, namespace and name.

    Raises:
        UserError: there is no such type of patch.
    """
    wanted = _PATCH_TYPES.get(patch_type)
    if wanted is None:
        raise UserError(f"there is no patch of type {patch_type}; there are {', '.join(_PATCH_TYPES)}")
    return patch(*place, change, wanted, subresource)
