"""What the API server makes of a request's body before it looks at its meaning.

Upstream: apiserver/pkg/endpoints/handlers/{create,update,rest}.go @v1.36
"""

from __future__ import annotations

from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request
from kubesim.api.schema.check import decoded, find_problems, is_clean
from kubesim.api.schema.wire import decoding_error
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError, bad_request


def check_body(request: Request) -> Object:
    """The body, if it is an object of the kind, name and namespace that the request is for.

    Raises:
        ApiError: 400 where they differ; 500, as upstream, where a new object has a resourceVersion.
    """
    kind, obj = request.kind, request.body
    if obj.get("kind") != kind.kind or obj.get("apiVersion") != kind.api_version:
        raise _wrong_kind(kind, obj)
    metadata = obj.get("metadata")
    if metadata is None:
        raise ApiError(
            422, "Invalid", f'{kind.kind} "" is invalid: metadata.name: Required value: name or generateName is required'
        )
    namespace = metadata.get("namespace", "")
    if namespace and namespace != request.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if request.verb == "create":
        if metadata.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
    elif metadata.get("name") != request.name:
        raise bad_request(
            f"the name of the object ({metadata.get('name', '')}) does not match the name on the URL ({request.name})"
        )
    return obj  # type: ignore[no-any-return]


def _wrong_kind(kind: Kind, obj: Object) -> ApiError:
    given = obj.get("apiVersion", ""), obj.get("kind", "")
    if not given[1]:
        return bad_request("Object 'Kind' is missing")
    return bad_request(
        f"{kind.kind} in version \"{kind.version}\" cannot be handled as a {kind.kind}: "
        f"no kind \"{given[1]}\" is registered for version \"{given[0]}\""
    )


def decode(kind: Kind, obj: Object, options: Options) -> Object:
    """The object as the decoder takes it: nulls gone, and what the schema doesn't know dropped or refused.

    Raises:
        ApiError: 400, a field has the wrong type, or is unknown under `fieldValidation=Strict`.
    """
    if not is_clean(obj, kind.schema):
        problems = find_problems(obj, kind.schema)
        error = decoding_error(kind.version, kind.kind, problems, strict=options.field_validation == "Strict")
        if error is not None:
            raise error
    taken: Object = decoded(obj, kind.schema)
    return taken
