"""Fields that stand twice in a body, which the decoded value no longer shows.

Bodies are looked at closely only where they have more keys than came out of them.
"""

from __future__ import annotations

import re
from typing import Any

_KEY = re.compile(rb'"\s*:')


def duplicates_in(body: bytes, value: Any) -> tuple[str, ...]:
    """The decoder's words for every field that stands twice, such as `duplicate field "data.a"`."""
    if body[:1] in (b"{", b"[") and len(_KEY.findall(body)) <= _count(value):
        return ()
    from kubesim.manifests.document import DocumentError, read_documents

    try:
        document = next(read_documents(body.decode()), None)
    except (DocumentError, UnicodeDecodeError):
        return ()
    found = () if document is None else document.duplicates
    return tuple(dict.fromkeys(f'duplicate field "{_dotted(each.path)}"' for each in found))


def _count(value: Any) -> int:
    """How many keys a value has in all."""
    total = 0
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            total += len(each)
            left += each.values()
        elif isinstance(each, list):
            left += each
    return total


def _dotted(path: tuple[str, ...]) -> str:
    dotted = ""
    for part in path:
        dotted += part if part.startswith("[") or not dotted else f".{part}"
    return dotted
