"""Which options of a request the API server refuses before it does anything.

Upstream: apimachinery/pkg/apis/meta/v1/validation/validation.go,
apimachinery/pkg/apis/meta/internalversion/validation/validation.go @v1.36
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.api.requests import NO_OPTIONS, Options, Request
from kubesim.api.validation.field import go_quote
from kubesim.errors import ApiError, Cause, bad_request, invalid

_FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
FIELD_MANAGER_MAX = 128
_PROPAGATIONS = ("Foreground", "Background", "Orphan")
_MATCHES = ("Exact", "NotOlderThan")
_VERSION_WITH_CONTINUE = "specifying resource version is not allowed when using continue"


def _unsupported(field: str, value: str, supported: tuple[str, ...]) -> Cause:
    listed = ", ".join(f'"{each}"' for each in supported)
    return Cause("FieldValueNotSupported", field, f'Unsupported value: "{value}": supported values: {listed}')


def _forbidden(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def _of_write(options: Options) -> list[Cause]:
    causes = _of_manager(options.field_manager)
    if options.field_validation not in _FIELD_VALIDATIONS:
        causes.append(_unsupported("fieldValidation", options.field_validation, _FIELD_VALIDATIONS))
    return causes


def manager_of_agent(user_agent: str) -> str:
    """Whom the fields belong to that an HTTP client writes without naming a `fieldManager`.

    Upstream: apiserver/pkg/endpoints/handlers/create.go:prefixFromUserAgent @v1.36
    """
    name = ""
    for letter in user_agent.partition("/")[0]:
        if letter.isprintable():
            if len((name + letter).encode()) > FIELD_MANAGER_MAX:
                break
            name += letter
    return name


def _of_manager(name: str) -> list[Cause]:
    """Upstream: apis/meta/v1/validation/validation.go:ValidateFieldManager @v1.36"""
    causes = []
    if len(name.encode()) > FIELD_MANAGER_MAX:
        causes.append(
            Cause("FieldValueTooLong", "fieldManager", f"Too long: may not be more than {FIELD_MANAGER_MAX} bytes")
        )
    for at, letter in enumerate(name):
        if not letter.isprintable():
            why = f"invalid character U+{ord(letter):04X} (at position {at})"
            causes.append(Cause("FieldValueInvalid", "fieldManager", f"Invalid value: {go_quote(name)}: {why}"))
    return causes


def _of_patch(options: Options) -> list[Cause]:
    causes: list[Cause] = []
    if options.patch_type != "apply":
        if options.force:
            causes.append(_forbidden("force", "may not be specified for non-apply patch"))
    elif not options.field_manager:
        causes.append(Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch"))
    return causes + _of_write(options)


def _of_delete(options: Options) -> list[Cause]:
    if options.propagation is not None and options.propagation not in _PROPAGATIONS:
        return [_unsupported("propagationPolicy", options.propagation, (*_PROPAGATIONS, "nil"))]
    return []


def _of_list(options: Options) -> list[Cause]:
    match, field = options.resource_version_match, "resourceVersionMatch"
    if not match:
        return []
    causes = []
    if not options.resource_version:
        causes.append(_forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if options.continue_token:
        causes.append(_forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in _MATCHES:
        causes.append(_unsupported(field, match, (*_MATCHES, "")))
    if match == "Exact" and options.resource_version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(_forbidden(field, why))
    return causes


_CHECKS: dict[str, tuple[str, Callable[[Options], list[Cause]]]] = {
    "create": ("CreateOptions", _of_write),
    "update": ("UpdateOptions", _of_write),
    "patch": ("PatchOptions", _of_patch),
    "delete": ("DeleteOptions", _of_delete),
    "deletecollection": ("DeleteOptions", _of_delete),
    "list": ("ListOptions", _of_list),
}


def check_options(request: Request) -> None:
    """Raise 422 where the options contradict themselves or have values that there are not."""
    options = request.options
    check = _CHECKS.get(request.verb)
    if options is NO_OPTIONS or check is None:
        return
    causes = check[1](options)
    if causes:
        raise invalid(check[0], "meta.k8s.io", "", causes)


def check_read_revision(options: Options, current: int) -> None:
    """Raise 500, as upstream, where a GET's resourceVersion is no number; 504 where it lies in the future."""
    text = options.resource_version
    if text and not (text.isascii() and text.isdigit()):
        raise ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {not_a_number(text)}')
    list_revision(options, current)


def list_revision(options: Options, current: int) -> int:
    """The resourceVersion that a list asks for, 0 for none.

    Raises:
        ApiError: 400, it is no number, or comes with a continue token; 504, it lies in the future.
    """
    text = options.resource_version
    if not text:
        return 0
    if options.continue_token and text != "0":
        raise bad_request(_VERSION_WITH_CONTINUE)
    if not text.isascii() or not text.isdigit():
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {not_a_number(text)}')
    revision = int(text)
    if revision > current:
        raise ApiError(
            504,
            "Timeout",
            f"Timeout: Too large resource version: {revision}, current: {current}",
            causes=(Cause("ResourceVersionTooLarge", "", "Too large resource version"),),
            retry_after_s=1,
        )
    return revision


def written_revision(version: str) -> int:
    """The resourceVersion in an object that is to be written, 0 for none.

    Raises:
        ApiError: 500, as upstream, where it is no number.
    """
    if not version:
        return 0
    if not version.isascii() or not version.isdigit():
        raise ApiError(500, "", not_a_number(version))
    return int(version)


def not_a_number(text: str) -> str:
    """Go's complaint."""
    return f'strconv.ParseUint: parsing "{text}": invalid syntax'
