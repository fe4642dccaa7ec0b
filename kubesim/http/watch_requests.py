"""What a watch asks for: from which state, with or without what is there already, with bookmarks, for how long.

Upstream: apimachinery/pkg/apis/meta/internalversion/validation/validation.go:ValidateListOptions,
apiserver/pkg/storage/cacher/cacher.go:Watch @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from kubesim.api.requests import Options
from kubesim.errors import ApiError, Cause, invalid
from kubesim.http.parameters import is_true, list_options, whole_number

# Upstream: kube-apiserver --min-request-timeout=1800; there a watch lives from one to two times as long, by chance.
_TIMEOUT_S: Final = 2700.0
_TIMEOUT_MAX_S: Final = 1 << 31


class WatchRequest(NamedTuple):
    """`since` is the revision after which changes are wanted; None: from now on, what is there first.

    What `takes_any` begins with may be of any time, as a list with resourceVersion 0.
    """

    options: Options
    since: int | None
    has_initial: bool
    ends_initial: bool
    takes_any: bool
    timeout_s: float


def read_watch(query: Mapping[str, str], name: str) -> WatchRequest:
    """What the query asks for; `name` is the one object of an old watch path.

    Raises:
        ApiError: 400, 422 or 500, it contradicts itself or is none.
    """
    options = list_options(query)
    if name:
        import msgspec

        options = msgspec.structs.replace(options, field_selector=f"metadata.name={name}")
    initial = is_true(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    causes = list(_contradictions(options, initial))
    if causes:
        raise invalid("ListOptions", "meta.k8s.io", "", causes)
    text = options.resource_version
    if text and not (text.isascii() and text.isdigit()):
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, "", f'resourceVersion: Invalid value: "{text}": {why}')
    is_legacy = initial is None and text in ("", "0")
    has_initial = is_legacy or bool(initial)
    given = whole_number(query, "timeoutSeconds")
    timeout_s = float(given) if given else _TIMEOUT_S
    return WatchRequest(
        options,
        None if text in ("", "0") else int(text),
        has_initial,
        has_initial and options.allow_watch_bookmarks,
        is_legacy or text == "0",
        min(max(timeout_s, 0.0), _TIMEOUT_MAX_S),
    )


def _contradictions(options: Options, initial: bool | None) -> list[Cause]:
    match, causes = options.resource_version_match, []
    field = "resourceVersionMatch"
    if initial is not None:
        if match != "NotOlderThan":
            why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(Cause("FieldValueForbidden", field, why))
        if match not in ("", "NotOlderThan"):
            why = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
            causes.append(Cause("FieldValueNotSupported", field, why))
        if options.continue_token:
            why = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
            causes.append(Cause("FieldValueForbidden", field, why))
    elif match:
        why = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(Cause("FieldValueForbidden", field, why))
    return causes
