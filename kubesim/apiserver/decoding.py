"""What the API server makes of a request's body before it looks at its meaning.

Upstream: apiserver/pkg/endpoints/handlers/{create,update,patch,rest}.go @v1.36
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from kubesim.api.kinds import EVENTS_K8S_IO_EVENT, find_kind
from kubesim.api.objects import Object
from kubesim.api.patch.values import go_text, not_of_type
from kubesim.api.requests import Options, Request
from kubesim.api.schema.check import decoded, find_problems, is_clean
from kubesim.api.schema.walk import Problem
from kubesim.api.schema.wire import decoding_error, strict_texts
from kubesim.api.scheme import Kind
from kubesim.api.validation.field import go_quote
from kubesim.errors import ApiError, Cause, bad_request, invalid

# Kinds whose schema isn't the one of a collection: the bodies of subresources.
BODIES_OF_SUBRESOURCES = {
    ("autoscaling/v1", "Scale"): "autoscaling",
    ("policy/v1", "Eviction"): "policy",
    ("authentication.k8s.io/v1", "TokenRequest"): "authentication",
}
_WRONG_TYPE = re.compile(r"json: cannot unmarshal (\w+)(?: (\S+))? into Go struct field \S+ of type (.+)")
# Fields that read themselves: numbers or texts.
_INT_OR_STRING = re.compile(r"(?:HTTPGet|TCPSocket)Action\S*\.port |\.(?:m(?:ax|in)\w+able|maxSurge|targetPort) of")
_GO_KINDS = {"array": "slice", "object": "map", "number": "int64"}
_SCHEME = '"pkg/runtime/scheme.go:111"'
_FIRST_OF_METADATA = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")
TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_NAMELESS = "the name of the object"
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


def check_body(request: Request) -> Object:
    """The body with the kind, apiVersion and namespace that the URL says, where it left them out.

    Raises:
        ApiError: 400, it is of another kind, namespace or name than the URL, or has metadata of a wrong type.
    """
    kind = request.kind
    obj = typed_body(request.body, kind.api_version, kind.kind)
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = {}
        obj = {**obj, "metadata": metadata}
    try:
        _check_place(request, metadata)
    except (ApiError, AttributeError):
        # What the decoder finds wrong comes first; metadata that is no object has no place to look at.
        decode(kind, obj, request.options, request.duplicates)
        raise
    return in_scope(kind, obj)


def _check_place(request: Request, metadata: Object) -> None:
    namespace = metadata.get("namespace")
    if request.verb != "create":
        check_name(request, metadata)
    elif namespace and namespace != request.namespace and request.kind.namespaced:
        raise bad_request(_OTHER_NAMESPACE)


def in_scope(kind: Kind, obj: Object) -> Object:
    """The object without a namespace where its kind is in none.

    Upstream: apiserver/pkg/registry/rest/meta.go:EnsureObjectNamespaceMatchesRequestNamespace @v1.36
    """
    return obj if kind.namespaced else without(obj, "namespace")


def without(obj: Object, field: str) -> Object:
    """The object without a field of its metadata."""
    metadata = obj["metadata"]
    if field not in metadata:
        return obj
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != field}}


def check_name(request: Request, metadata: Object) -> None:
    """Raise 400 where an updated or patched object isn't the one that the URL names."""
    name, namespace = metadata.get("name"), metadata.get("namespace")
    is_elsewhere = namespace and namespace != request.namespace and request.kind.namespaced
    if is_elsewhere and request.verb == "patch":
        raise bad_request(_OTHER_NAMESPACE)
    if name != request.name:
        if not name:
            raise _nameless(request)
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({request.name})")
    if is_elsewhere:
        raise bad_request(_OTHER_NAMESPACE)


def _nameless(request: Request) -> ApiError:
    return bad_request(f"{_NAMELESS} ({request.name} based on URL) was undeterminable: name must be provided")


def _refuse_versionless(request: Request, obj: Object) -> None:
    """Raise for a patched object without an apiVersion: it is read as the internal type, which knows no field.

    Upstream: handlers/patch.go:applyPatchToCurrentObject @v1.36
    """
    if obj.get("kind") not in (None, "", request.kind.kind):
        raise bad_request(
            f'no kind "{obj["kind"]}" is registered for the internal version of group "" in scheme {_SCHEME}'
        )
    if request.options.field_validation != "Strict":
        raise _nameless(request)
    texts = ", ".join(f'unknown field "{name}"' for name in sorted(obj) if name not in ("apiVersion", "kind"))
    raise bad_request(f"strict decoding error: {texts}")


def typed_body(body: Object, api_version: str, kind: str) -> Object:
    """The body as an object of this kind, which it may leave unsaid.

    Raises:
        ApiError: 400, it says that it is something else, or is no object.
    """
    if not isinstance(body, dict):
        raise unrecognized(kind, not_of_type(body, TYPE_META))
    given_version, given_kind = body.get("apiVersion"), body.get("kind")
    if given_kind == kind and given_version == api_version:
        return body
    given_version, given_kind = given_version or api_version, given_kind or kind
    if given_kind != kind or given_version != api_version:
        raise _wrong_kind(kind, api_version, given_kind, given_version)
    return {**body, "apiVersion": api_version, "kind": kind}


def unrecognized(kind: str, why: str) -> ApiError:
    """400: of a body it cannot be said what it is. Upstream: serializer/json/json.go:Decode @v1.36"""
    what = f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind"
    return bad_request(f"{what}; json parse error: {why}")


def _wrong_kind(kind: str, api_version: str, given_kind: str, given_version: str) -> ApiError:
    """Upstream: apimachinery/pkg/runtime/{scheme,error}.go, handlers/rest.go:transformDecodeError @v1.36"""
    version = given_version.rpartition("/")[2]
    found = find_kind(given_version, given_kind)
    if found is None and (given_version, given_kind) not in BODIES_OF_SUBRESOURCES:
        why = f'no kind "{given_kind}" is registered for version "{given_version}" in scheme {_SCHEME}'
    elif given_kind == kind and _package(given_version, given_kind) == _package(api_version, kind):
        return bad_request(
            f"the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )
    else:
        package = _package(api_version, kind)
        why = f"converting ({version}.{given_kind}) to ({package}.{kind}): unknown conversion"
    return bad_request(f'{given_kind} in version "{version}" cannot be handled as a {kind}: {why}')


def _package(api_version: str, kind: str) -> str:
    """The Go package of upstream's internal type; both groups' Events are one type."""
    group = api_version.rpartition("/")[0]
    if not group or api_version == EVENTS_K8S_IO_EVENT.api_version:
        return "core"
    return BODIES_OF_SUBRESOURCES.get((api_version, kind)) or group.partition(".")[0]


def decode_patched(request: Request, obj: Object, problems: tuple[str, ...], warnings: list[str]) -> Object:
    """A patched object as the decoder takes it. A strategic patch to kind or apiVersion is without effect.

    `problems` are what strict reading of the patch itself has found; under `fieldValidation=Warn` they and unknown
    fields become warnings.

    Raises:
        ApiError: 422 that shows the patched object (or a strategic patch), it is of another kind now, a field has the
            wrong type, or is unknown under `fieldValidation=Strict`.

    Upstream: handlers/patch.go:jsonPatcher.applyPatchToCurrentObject, applyPatchToObject @v1.36
    """
    kind = request.kind
    is_strategic = request.options.patch_type == "strategic"
    if is_strategic:
        obj = {**obj, "apiVersion": kind.api_version, "kind": kind.kind}
    try:
        if not obj.get("apiVersion"):
            _refuse_versionless(request, obj)
        obj = typed_body(obj, kind.api_version, kind.kind)
        if problems or not is_clean(obj, kind.schema):
            found = find_problems(_in_go_order(obj) if is_strategic else _sorted(obj), kind.schema)
            texts = strict_texts(found)
            _judge(kind, found, [*problems, *(sorted(texts) if is_strategic else texts)], request.options, warnings)
        taken: Object = in_scope(kind, decoded(obj, kind.schema))
    except ApiError as error:
        if error.message.startswith(_NAMELESS):
            raise
        if not is_strategic:
            raise misfit(obj, error, kind.kind) from None
        raise _unfit(go_text(request.body), as_restored(_reason(error, kind.kind))) from None
    return taken


def misfit(patched: Object, error: ApiError, kind: str) -> ApiError:
    """422 for a patched object that the decoder refuses: it is shown, with why."""
    return _unfit(msgspec.json.encode(dict(sorted(patched.items()))).decode(), _reason(error, kind))


def _unfit(shown: str, why: str) -> ApiError:
    return invalid("", "", "", (Cause("FieldValueInvalid", "patch", f"Invalid value: {go_quote(shown)}: {why}"),))


def _reason(error: ApiError, kind: str) -> str:
    return error.message.partition(f" cannot be handled as a {kind}: ")[2] or error.message


def decode(
    kind: Kind, obj: Object, options: Options, duplicates: tuple[str, ...] = (), warnings: list[str] | None = None
) -> Object:
    """The object as the decoder takes it: nulls gone, and what the schema doesn't know dropped or refused.

    `duplicates` are texts of what stands twice in it; under `fieldValidation=Warn` they and unknown fields become
    warnings.

    Raises:
        ApiError: 400, a field has the wrong type, or is unknown or stands twice under `fieldValidation=Strict`.
    """
    if duplicates or not is_clean(obj, kind.schema):
        found = find_problems(obj, kind.schema)
        _judge(kind, found, [*strict_texts(found), *duplicates], options, warnings)
    taken: Object = decoded(obj, kind.schema)
    return taken


def _judge(kind: Kind, problems: list[Problem], texts: list[str], options: Options, warnings: list[str] | None) -> None:
    """Raise 400 for what the options do not allow; note what they warn of."""
    is_strict = options.field_validation == "Strict"
    error = decoding_error(kind.version, kind.kind, problems, strict=is_strict, texts=texts)
    if error is not None:
        raise error
    if warnings is not None and options.field_validation in ("", "Warn"):
        warnings += texts


def as_restored(why: str) -> str:
    """A wrong type in the words of the converter that strategic patches and applies go through.

    Upstream: apimachinery/pkg/runtime/converter.go:fromUnstructured @v1.36
    """
    wrong = _WRONG_TYPE.match(why)
    if wrong is None:
        return f"error decoding from json: {why}" if why.startswith("illegal base64") else why
    given, type_ = _GO_KINDS.get(wrong[1], wrong[1]), wrong[3]
    if type_ == "int32" and given != "float64" and _INT_OR_STRING.search(why):
        return f"json: cannot unmarshal {wrong[1]} into Go value of type int32"
    if "." in (wrong[2] or "") and type_ in ("int32", "int64"):
        return f"cannot convert float64 to {type_}"
    for start, what in (("map[", "map from"), ("[]", "slice from"), ("v", "struct from:")):
        if type_.startswith(start):
            return f"cannot restore {what} {given}"
    return (
        f"cannot convert int64 to {type_}" if given == "int64" and type_ == "string" else f"unrecognized type: {type_}"
    )


def _in_go_order(obj: Object) -> Object:
    """The object as the converter walks it: metadata first, and of them what names the object."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        first = {name: metadata[name] for name in _FIRST_OF_METADATA if name in metadata}
        metadata = {**first, **_sorted(metadata)}
    return {"metadata": metadata, **{name: value for name, value in _sorted(obj).items() if name != "metadata"}}


def _sorted(value: Any) -> Any:
    """The value as Go's encoder leaves it: the fields of every object in order."""
    if isinstance(value, dict):
        return {name: _sorted(item) for name, item in sorted(value.items())}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
