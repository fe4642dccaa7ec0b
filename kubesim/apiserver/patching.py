"""Patches other than apply: the patched object, and what strict reading finds in the patch.

Upstream: apiserver/pkg/endpoints/handlers/patch.go @v1.36
"""

from __future__ import annotations

import json

from kubesim.api.objects import Object
from kubesim.api.patch import apply_json_patch, apply_merge_patch, apply_strategic_merge_patch
from kubesim.api.requests import Request
from kubesim.api.scheme import Kind
from kubesim.api.validation.field import go_quote
from kubesim.errors import ApiError, Cause, bad_request, invalid

_OPERATIONS_MAX = 10_000
_NO_KIND = (
    "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { "
    r'APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
)
_OPERATION_FIELDS = ("op", "path", "from", "value")


def apply_patch(kind: Kind, old: Object, request: Request) -> Object:
    """`old` with the request's patch applied; `old` itself where the patch changes nothing.

    Raises:
        ApiError: 400, 413 or 422, the patch is not one, has too many operations, or does not fit.
    """
    patch_type, body = request.options.patch_type, request.body
    if patch_type == "strategic":
        return apply_strategic_merge_patch(old, body, kind.schema)
    if patch_type == "merge":
        if not isinstance(body, dict) and request.options.field_validation == "Ignore":
            # Nobody has looked at the patch before the library takes it, which lets lists through.
            raise _read_as_object(body) if isinstance(body, list) else bad_request("Invalid JSON Patch")
        return apply_merge_patch(old, body)
    if isinstance(body, list) and len(body) > _OPERATIONS_MAX:
        why = f"The allowed maximum operations in a JSON patch is {_OPERATIONS_MAX}, got {len(body)}"
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")
    return apply_json_patch(old, body)


def _read_as_object(patch: list[object]) -> ApiError:
    """A list takes the object's place where nobody has looked at the patch before."""
    cause = Cause("FieldValueInvalid", "patch", f"Invalid value: {go_quote(json.dumps(patch))}: {_NO_KIND}")
    return invalid("", "", "", (cause,))


def reading_problems(request: Request) -> tuple[str, ...]:
    """What strict reading of the patch finds: fields that stand twice, and unknown ones of JSON patch operations."""
    if request.options.patch_type != "json":
        return request.duplicates
    unknown = [
        f'unknown field "[{at}].{name}"'
        for at, operation in enumerate(request.body)
        for name in operation
        if name not in _OPERATION_FIELDS
    ]
    return tuple(f"json patch {problem}" for problem in (*unknown, *request.duplicates))


def mentions_owners(request: Request) -> bool:
    """Whether the patch may read or write `metadata.managedFields`."""
    body = request.body
    if isinstance(body, list):
        paths = (operation.get(name) for operation in body if isinstance(operation, dict) for name in ("path", "from"))
        return any(isinstance(path, str) and path.startswith("/metadata/managedFields") for path in paths)
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return isinstance(metadata, dict) and "managedFields" in metadata
