"""Which form an answer takes: the media types that a client accepts, against what there is.

Clients that prefer protobuf get JSON where they accept it too; bodies are JSON, YAML or protobuf.
Upstream: apiserver/pkg/endpoints/handlers/negotiation/negotiate.go @v1.36
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from kubesim.api.validation.field import go_quote
from kubesim.errors import ApiError, bad_request

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_AVAILABLE = f"{JSON}, {YAML}, {PROTOBUF}"
_TABLE_VERSIONS = ("v1", "v1beta1")
_INCLUDED = ("Metadata", "Object", "None")
_PARTIAL = ("PartialObjectMetadata", "PartialObjectMetadataList")


class Form(NamedTuple):
    """The media type of an answer, and what it shows: objects as they are, `Table` or `PartialObjectMetadata`.

    `includes` says what of each object goes with its row of a table: Metadata, Object or None.
    """

    media: str = JSON
    shape: str = ""
    version: str = "v1"
    includes: str = "Metadata"


AS_IS = Form()


def not_acceptable(available: str = _AVAILABLE) -> ApiError:
    """406."""
    return ApiError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {available}")


def unsupported_media_type(accepted: str = _AVAILABLE) -> ApiError:
    """415 for a body."""
    what = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", what + accepted)


@lru_cache(1024)
def clauses(accept: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """The media ranges of an Accept header with their parameters, the most wanted first."""
    found = []
    for index, clause in enumerate(accept.split(",")):
        media, *words = (word.strip() for word in clause.split(";"))
        parameters = dict(word.split("=", 1) for word in words if "=" in word)
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        found.append((-weight, index, media, parameters))
    found.sort(key=lambda each: each[:2])
    return tuple((media, parameters) for weight, _, media, parameters in found if weight < 0)


@lru_cache(1024)
def negotiate(accept: str, *, is_list: bool = False, has_table: bool = True) -> Form:
    """The form of an answer.

    Raises:
        ApiError: 406, the client accepts nothing that there is.
    """
    if not accept:
        return AS_IS
    for media, parameters in clauses(accept):
        if media in ("*/*", "application/*", JSON):
            form = JSON
        elif media == YAML:
            form = YAML
        else:
            continue
        shape = parameters.get("as", "")
        if not shape:
            return Form(form)
        version = parameters.get("v", "")
        if parameters.get("g") != "meta.k8s.io" or version not in _TABLE_VERSIONS:
            continue
        if (shape == "Table" and has_table) or shape == _PARTIAL[is_list]:
            return Form(form, shape, version)
    raise not_acceptable()


def including(form: Form, wanted: str) -> Form:
    """A form with what a query's `includeObject` wants in a table.

    Raises:
        ApiError: 400, there is no such thing.

    Upstream: apiserver/pkg/endpoints/handlers/response.go:optionsForTransform @v1.36
    """
    if form.shape != "Table" or not wanted:
        return form
    if wanted not in _INCLUDED:
        why = f"includeObject: Invalid value: {go_quote(wanted)}: must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {why}")
    return form._replace(includes=wanted)
