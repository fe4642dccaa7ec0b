"""A request's query and DeleteOptions as `kubesim.api.requests.Options`.

Upstream: apimachinery/pkg/apis/meta/v1/conversion.go, apiserver/pkg/endpoints/handlers/delete.go @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.api.requests import NO_OPTIONS, Options, PatchType
from kubesim.errors import ApiError, Cause, bad_request, invalid

_FALSE = ("false", "0")


def is_true(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter: whatever is not false is true.

    Upstream: apimachinery/pkg/runtime/conversion.go:Convert_Slice_string_To_bool @v1.36
    """
    value = query.get(name)
    return value is not None and value.lower() not in _FALSE


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number of 64 bits, None where it is absent.

    Raises:
        ApiError: 400, it is none.
    """
    text = query.get(name)
    if not text:
        return None
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text) if len(digits) < 20 else 1 << 64
    if not -(1 << 63) <= value < 1 << 63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def list_options(query: Mapping[str, str]) -> Options:
    """The options of get, list and watch.

    Raises:
        ApiError: 400, a number is none.
    """
    if not query:
        return NO_OPTIONS
    get = query.get
    return Options(
        label_selector=get("labelSelector", ""),
        field_selector=get("fieldSelector", ""),
        limit=max(0, whole_number(query, "limit") or 0),
        continue_token=get("continue", ""),
        resource_version=get("resourceVersion", ""),
        resource_version_match=get("resourceVersionMatch", ""),
        allow_watch_bookmarks=is_true(query, "allowWatchBookmarks"),
    )


def write_options(query: Mapping[str, str], verb: str, patch_type: PatchType = "merge") -> Options:
    """The options of create, update and patch.

    Raises:
        ApiError: 422, `dryRun` is neither absent nor All.
    """
    if not query and patch_type == "merge":
        return NO_OPTIONS
    validation: Any = query.get("fieldValidation") or "Warn"
    return Options(
        dry_run=_is_dry_run(query.get("dryRun"), verb),
        field_manager=query.get("fieldManager", ""),
        field_validation=validation,
        force=is_true(query, "force"),
        patch_type=patch_type,
    )


def _is_dry_run(value: str | None, verb: str) -> bool:
    """Upstream: apimachinery/pkg/apis/meta/v1/validation/validation.go:ValidateDryRun @v1.36"""
    if not value:
        return False
    if value != "All":
        cause = Cause("FieldValueNotSupported", "dryRun", f'Unsupported value: "{value}": supported values: "All"')
        raise invalid(f"{verb.capitalize()}Options", "meta.k8s.io", "", (cause,))
    return True


def delete_options(query: Mapping[str, str], body: Any, *, of_collection: bool = False) -> Options:
    """The options of a delete: those in the body where there is one, else in the query.

    Raises:
        ApiError: 400, the body is no DeleteOptions; 422, an option has a value that there is not.
    """
    if body is None:
        given = _delete_query(query)
    else:
        kind = body.get("kind", "DeleteOptions")
        if kind != "DeleteOptions":
            raise bad_request(f"decoded object cannot be converted to DeleteOptions: {kind}")
        given = body
    _check_types(given)
    preconditions = given.get("preconditions") or {}
    dry_run = given.get("dryRun")
    propagation = given.get("propagationPolicy")
    orphan = given.get("orphanDependents")
    if propagation is None and orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    selecting = list_options(query) if of_collection else NO_OPTIONS
    return Options(
        dry_run=_is_dry_run(dry_run[0] if dry_run else None, "delete"),
        propagation=propagation,
        grace_period_s=given.get("gracePeriodSeconds"),
        precondition_uid=preconditions.get("uid"),
        precondition_resource_version=preconditions.get("resourceVersion"),
        label_selector=selecting.label_selector,
        field_selector=selecting.field_selector,
        limit=selecting.limit,
        continue_token=selecting.continue_token,
        resource_version=selecting.resource_version,
        resource_version_match=selecting.resource_version_match,
    )


def _delete_query(query: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    grace = whole_number(query, "gracePeriodSeconds")
    if grace is not None:
        given["gracePeriodSeconds"] = grace
    if query.get("propagationPolicy"):
        given["propagationPolicy"] = query["propagationPolicy"]
    if "orphanDependents" in query:
        given["orphanDependents"] = is_true(query, "orphanDependents")
    if query.get("dryRun"):
        given["dryRun"] = [query["dryRun"]]
    return given


_TYPES: dict[str, tuple[type, str]] = {
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "dryRun": (list, "[]string"),
    "preconditions": (dict, "v1.Preconditions"),
}


def _check_types(given: dict[str, Any]) -> None:
    for name, (wanted, go_type) in _TYPES.items():
        value = given.get(name)
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool)):
            raise _not_delete_options(f"DeleteOptions.{name} of type {go_type}")
    for name, text in (given.get("preconditions") or {}).items():
        if name in ("uid", "resourceVersion") and text is not None and not isinstance(text, str):
            raise _not_delete_options(f"Preconditions.preconditions.{name} of type string")
    if any(not isinstance(each, str) for each in given.get("dryRun") or ()):
        raise _not_delete_options("DeleteOptions.dryRun of type string")


def _not_delete_options(where: str) -> ApiError:
    return bad_request(f"json: cannot unmarshal into Go struct field {where}")
