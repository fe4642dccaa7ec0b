"""What a request's body says: JSON, YAML or protobuf into an object, a patch or DeleteOptions, or 400 and 415.

Upstream: apimachinery/pkg/runtime/serializer/json/json.go, apiserver/pkg/endpoints/handlers/patch.go @v1.36
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kubesim.api.patch.values import json_type, not_of_type, require_object
from kubesim.api.requests import PatchType
from kubesim.apiserver.decoding import TYPE_META, unrecognized
from kubesim.errors import ApiError, bad_request
from kubesim.http.negotiation import JSON, PROTOBUF, YAML, unsupported_media_type

_PATCHES: Final[dict[str, PatchType]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
_SHOWN_BYTES: Final = 70


def media_type(header: str) -> str:
    """The media type of a Content-Type header, JSON where there is none."""
    return header.partition(";")[0].strip().lower() or JSON


def read_object(body: bytes, content_type: str, kind: str) -> dict[str, Any]:
    """The object in a body; `kind` is for the error's text.

    Raises:
        ApiError: 415, the media type is unknown; 400, it cannot be read.
    """
    media = media_type(content_type)
    if media == PROTOBUF:
        from kubesim.http.protobuf import decode_envelope

        return decode_envelope(body)
    if media == YAML:
        value = _read_yaml(body)
    elif media == JSON:
        try:
            value = msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            raise unrecognized(kind, f"{go_syntax_error(body, error)} ({_shown(body)})") from None
    else:
        raise unsupported_media_type()
    if not isinstance(value, dict):
        raise unrecognized(kind, not_of_type(value, TYPE_META))
    for name in ("kind", "apiVersion"):
        if not isinstance(value.get(name, ""), str | None):
            where = f"Go struct field .{name} of type string"
            raise unrecognized(kind, f"json: cannot unmarshal {json_type(value[name])} into {where}")
    return value


def read_patch(body: bytes, content_type: str) -> tuple[PatchType, Any]:
    """The patch in a body.

    Raises:
        ApiError: 415, the media type is no patch's; 400, it cannot be read.
    """
    patch_type = _PATCHES.get(content_type.partition(";")[0].strip().lower())
    if patch_type is None:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    if patch_type == "apply":
        value = _read_yaml(body)
    else:
        try:
            value = msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            raise bad_request(f"error decoding patch: {go_syntax_error(body, error)}") from None
    if patch_type != "json" and not isinstance(value, dict):
        require_object(value, "error decoding patch: ")
    return patch_type, value


def go_syntax_error(body: bytes, error: Exception) -> str:
    """Go's words for what is wrong with JSON, as far as they can be told from where ours stopped."""
    stripped = body.strip()
    text = str(error)
    if not stripped or "truncated" in text:
        return "unexpected end of JSON input"
    found = text.rpartition("(byte ")[2].rstrip(")")
    position = int(found) if found.isdigit() else 0
    character = body[position : position + 1].decode("latin-1") or " "
    where = "looking for beginning of value"
    if "object keys" in text or "expected '\"'" in text:
        where = "looking for beginning of object key string"
    elif "trailing" in text:
        where = "after top-level value"
    elif "expected ',' or" in text:
        where = "after object key:value pair" if "'}'" in text else "after array element"
    elif "':'" in text:
        where = "after object key"
    return f"invalid character '{character}' {where}"


def _shown(body: bytes) -> str:
    """Upstream: apiserver/pkg/endpoints/handlers/rest.go:summarizeData @v1.36"""
    if not body:
        return "<empty>"
    if body[0] == ord("{") or body.isascii():
        text = body[:_SHOWN_BYTES].decode("utf-8", "replace")
        return f"{text} ..." if len(body) > _SHOWN_BYTES else text
    return body[:_SHOWN_BYTES].hex()


def _read_yaml(body: bytes) -> Any:
    """YAML, of which JSON is the form that most clients write."""
    if body[:1] == b"{":
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError):
            pass
    from kubesim.manifests.document import DocumentError, read_documents

    try:
        document = next(read_documents(body.decode()), None)
    except UnicodeDecodeError:
        raise bad_request("error converting YAML to JSON: yaml: invalid leading UTF-8 octet") from None
    except DocumentError as error:
        raise bad_request(f"error converting YAML to JSON: yaml: line {error.line + 1}: {error.what}") from None
    return None if document is None else document.value
