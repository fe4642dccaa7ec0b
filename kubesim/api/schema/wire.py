"""The API server's words for an object that cannot be decoded.

Upstream: apiserver/pkg/endpoints/handlers/rest.go:transformDecodeError, apimachinery/pkg/runtime/error.go:
strictDecodingError @v1.36
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.api.schema.walk import Problem
from kubesim.errors import ApiError, bad_request

_STRICT_ERRORS_MAX = 100


def strict_texts(problems: Sequence[Problem]) -> list[str]:
    """The texts of unknown and duplicate fields, each once, 100 at most: warnings, or the parts of a strict error."""
    texts = [problem.wire for problem in problems if problem.reason in ("unknown", "duplicate")]
    return list(dict.fromkeys(texts))[:_STRICT_ERRORS_MAX]


def decoding_error(
    version: str,
    kind: str,
    problems: Sequence[Problem],
    *,
    strict: bool,
    into_kind: str = "",
    texts: Sequence[str] | None = None,
) -> ApiError | None:
    """The refusal of a body with these problems, or None where the server takes it.

    A wrong type is always refused, and alone; unknown and duplicate fields only under `fieldValidation=Strict`.
    `version` is the object's without its group; `into_kind` the endpoint's kind where that differs; `texts` are given
    where what strict reading found is more than the problems say.
    """
    wrong = [problem for problem in problems if problem.reason == "type"]
    first = next((problem for problem in wrong if problem.aborts), wrong[0] if wrong else None)
    if first is not None:
        text = first.wire
    else:
        listed = (strict_texts(problems) if texts is None else texts) if strict else ()
        if not listed:
            return None
        text = f"strict decoding error: {', '.join(listed)}"
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {into_kind or kind}: {text}')
