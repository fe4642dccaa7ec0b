"""JSON patch (RFC 6902) with the liberties of the library that the API server uses.

Those are: negative indices count from the end, `replace` of an absent key adds it, `copy` of an absent key writes null,
and whatever stands before the first slash of a path is ignored. The client is never told why a patch did not apply; the
`ApiError` has the library's text as its cause.

Upstream: gopkg.in/evanphx/json-patch.v4 patch.go, apiserver/pkg/endpoints/handlers/patch.go:applyJSPatch @v1.36
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.api.int_or_string import parse_int64
from kubesim.api.objects import Object
from kubesim.api.patch.merge_patch import without_null_fields
from kubesim.api.patch.values import is_same, not_of_type, unprocessable
from kubesim.errors import ApiError, bad_request

MAX_OPERATIONS = 10_000

Container = dict[str, Any] | list[Any]
Edit = Callable[[Container, str], Container]


class JsonPatchError(Exception):
    """An operation does not apply; the text is the library's."""


def _tokens(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(key: str, bound: int) -> int:
    """The place of `key` in a list with `bound` places, negative ones from the end."""
    at = parse_int64(key)
    if at is None:
        raise JsonPatchError(f'strconv.Atoi: parsing "{key}": invalid syntax')
    if not -bound <= at < bound:
        raise JsonPatchError(f"Unable to access invalid index: {at}: invalid index referenced")
    return at + bound if at < 0 else at


def _get(container: Container, key: str) -> Any:
    return container.get(key) if isinstance(container, dict) else container[_index(key, len(container))]


def _descend(doc: Container, tokens: list[str]) -> Container | None:
    """The container that the path ends in, or None."""
    node: Any = doc
    for token in tokens[:-1]:
        try:
            node = _get(node, token)
        except JsonPatchError:
            return None
        if not isinstance(node, (dict, list)):
            return None
    return node if tokens else None


def _add(container: Container, key: str, value: Any) -> Container:
    if isinstance(container, dict):
        return container if key in container and is_same(container[key], value) else {**container, key: value}
    at = len(container) if key == "-" else _index(key, len(container) + 1)
    return [*container[:at], value, *container[at:]]


def _remove(container: Container, key: str) -> Container:
    if isinstance(container, dict):
        if key not in container:
            raise JsonPatchError(f"Unable to remove nonexistent key: {key}: missing value")
        return {name: value for name, value in container.items() if name != key}
    at = _index(key, len(container))
    return [*container[:at], *container[at + 1 :]]


def _set(container: Container, key: str, value: Any) -> Container:
    if is_same(_get(container, key), value) and (isinstance(container, list) or key in container):
        return container
    if isinstance(container, dict):
        return {**container, key: value}
    at = _index(key, len(container))
    return [*container[:at], value, *container[at + 1 :]]


def _edit_at(doc: Container, operation: str, path: str, edit: Edit) -> Container:
    """The document with its part at `path` edited, copied along the path only."""
    tokens = _tokens(path)
    if _descend(doc, tokens) is None:
        raise JsonPatchError(f'{operation} operation does not apply: doc is missing path: "{path}": missing value')

    def rebuild(node: Container, depth: int) -> Container:
        token = tokens[depth]
        if depth == len(tokens) - 1:
            return edit(node, token)
        child = _get(node, token)
        new = rebuild(child, depth + 1)
        return node if new is child else _set_child(node, token, new)

    return rebuild(doc, 0)


def _set_child(container: Container, key: str, child: Container) -> Container:
    if isinstance(container, dict):
        return {**container, key: child}
    at = _index(key, len(container))
    return [*container[:at], child, *container[at + 1 :]]


def _text_field(operation: dict[str, Any], name: str) -> str:
    text = operation.get(name)
    if not isinstance(text, str):
        raise JsonPatchError(f"operation missing {name} field: missing value")
    return text


def _value_at(doc: Container, operation: str, path: str) -> Any:
    tokens = _tokens(path)
    container = _descend(doc, tokens)
    if container is None:
        raise JsonPatchError(f"{operation} operation does not apply: doc is missing from path: {path}: missing value")
    return _get(container, tokens[-1])


def _test(doc: Container, path: str, value: Any) -> None:
    actual = doc if path == "" else _value_at(doc, "test", path)
    if not is_same(actual, value):
        raise JsonPatchError(f"testing value {path} failed: test failed")


def _apply(doc: Container, operation: dict[str, Any]) -> Container:
    kind = operation.get("op")
    value = operation.get("value")
    if kind in {"copy", "move"}:
        source = _text_field(operation, "from")
        value = _value_at(doc, kind, source)
        if kind == "move":
            doc = _edit_at(doc, kind, source, _remove)
    path = _text_field(operation, "path")
    if kind in {"add", "copy", "move"}:
        return _edit_at(doc, kind, path, lambda container, key: _add(container, key, value))
    if kind == "remove":
        return _edit_at(doc, kind, path, _remove)
    if kind == "replace" and path == "":
        if not isinstance(value, (dict, list)):
            raise JsonPatchError("replace operation value must be object or array")
        return value
    if kind == "replace":
        return _edit_at(doc, kind, path, lambda container, key: _set(container, key, value))
    if kind == "test":
        _test(doc, path, value)
        return doc
    raise JsonPatchError(f"Unexpected kind: {kind}")


def apply_json_patch(original: Object, patch: Any) -> Object:
    """The object after all operations, in order; fields that they set to null are absent.

    Raises:
        ApiError: 400, the patch is no list of objects; 413, it is too long; 422, an operation does not apply.
    """
    if not isinstance(patch, list):
        raise bad_request("error decoding patch: " + not_of_type(patch, "[]handlers.jsonPatchOp"))
    if len(patch) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity is too large: {message}")
    doc: Container = original
    try:
        for operation in patch:
            if not isinstance(operation, dict):
                raise bad_request("error decoding patch: " + not_of_type(operation, "handlers.jsonPatchOp"))
            doc = _apply(doc, operation)
    except JsonPatchError as error:
        raise unprocessable() from error
    if not isinstance(doc, dict):
        raise unprocessable()
    patched: Object = doc if doc is original else without_null_fields(doc)
    return patched
