"""One manifest: an object, its kind, and where in the user's files each part of it stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from kubesim.api.objects import Object
from kubesim.api.scheme import Kind
from kubesim.errors import UserError
from kubesim.manifests.document import Spot


class ManifestErrors(UserError):  # noqa: N818 (it holds several)
    """Everything that is wrong with the manifests: one line each, in the order of the text."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


@final
class Manifest:
    """An object as its file gives it, nulls removed and namespace filled in; `line` is the document's, from 1."""

    __slots__ = ("_spot", "file", "kind", "line", "object")

    def __init__(self, obj: Object, kind: Kind, file: str, spot: Spot) -> None:
        self.object = obj
        self.kind = kind
        self.file = file
        self.line = spot.line + 1
        self._spot = spot

    def __repr__(self) -> str:
        return f"Manifest({self.kind.kind} {self.object['metadata'].get('name')} at {self.file}:{self.line})"

    def line_of(self, path: str) -> int:
        """The line, from 1, of the field at a path, or of its nearest ancestor that is in the text.

        Paths are the API server's: `spec.containers[0].ports[1]`, `metadata.labels[app]`, `spec.selector.matchLabels`.
        """
        return spot_at(self._spot, path).line + 1

    def locate(self, path: str) -> str:
        """`file:line` of the field at a path, or of its nearest ancestor that is in the text."""
        return f"{self.file}:{self.line_of(path)}"


def spot_at(spot: Spot, path: str) -> Spot:
    """Follows a field path as far as the text goes."""
    rest = path
    while rest:
        found = _step(spot, rest)
        if found is None:
            return spot
        spot, rest = found
    return spot


def _step(spot: Spot, rest: str) -> tuple[Spot, str] | None:
    """One step along a path: the spot of the part that it names first, and what remains of the path."""
    inside = spot.inside
    if isinstance(inside, list):
        index, closed, rest = rest.removeprefix("[").partition("]")
        if not closed or not index.isdecimal() or int(index) >= len(inside):
            return None
        return inside[int(index)], rest.removeprefix(".")
    if not isinstance(inside, dict):
        return None
    bracketed = rest.startswith("[")
    rest = rest.removeprefix("[")
    ends = ("]",) if bracketed else (".", "[")
    keys = [key for key in inside if rest == key or (rest.startswith(key) and rest[len(key) :].startswith(ends))]
    if not keys:
        return None
    key = max(keys, key=len)
    rest = rest[len(key) :]
    return inside[key], rest.removeprefix("]").removeprefix(".") if bracketed else rest.removeprefix(".")
