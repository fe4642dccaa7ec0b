"""The table of invariants, by the name that files use."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.checks.bookkeeping import GenerationsMoveForward, RevisionsMoveForward
from kubesim.checks.identity import OneIdentity
from kubesim.checks.invariant import Invariant
from kubesim.checks.owners import OwnersExist

_ALL: tuple[type[Invariant], ...] = (
    OneIdentity,
    OwnersExist,
    RevisionsMoveForward,
    GenerationsMoveForward,
)

INVARIANTS: dict[str, Callable[[], Invariant]] = {str(each.name): each for each in _ALL}
