"""The invariants of one run, attached together, and the first promise that was broken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from kubesim.checks.convergence import STAYS_NS, WITHIN_NS, await_convergence
from kubesim.checks.invariant import Invariant, Scene, Violation
from kubesim.checks.registry import INVARIANTS
from kubesim.cluster import Cluster
from kubesim.errors import UserError

VIOLATIONS_MAX = 100


@final
class Checks:
    """Watches a cluster from now on. `violations` holds the first hundred broken promises, in order."""

    def __init__(self, cluster: Cluster, invariants: Iterable[str | Invariant] | None = None) -> None:
        """Attach invariants, given by name or as they are; without any, all of the table.

        Raises:
            UserError: there is no invariant of that name.
        """
        self.violations: list[Violation] = []
        self.scene = Scene(cluster, self._add)
        for each in INVARIANTS if invariants is None else invariants:
            watched = find_invariant(each) if isinstance(each, str) else each
            watched.attach(self.scene)

    @property
    def violation(self) -> Violation | None:
        """The first broken promise."""
        return self.violations[0] if self.violations else None

    @property
    def is_broken(self) -> bool:
        """Whether a promise has been broken."""
        return bool(self.violations)

    def converge(self, within_ns: int = WITHIN_NS, stays_ns: int = STAYS_NS) -> Violation | None:
        """Once all is healed: let the cluster come to rest, and look at what can only be judged there.

        Returns the first broken promise of the whole run, which may be that it does not come to rest.
        """
        unrest = await_convergence(self.scene.cluster, within_ns, stays_ns)
        if unrest is None:
            self.scene.tell_rest()
        else:
            self._add(unrest)
        return self.violation

    def _add(self, violation: Violation) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(violation)


def find_invariant(name: str) -> Invariant:
    """A new invariant of the table.

    Raises:
        UserError: there is none of that name; the nearest one is named.
    """
    make = INVARIANTS.get(name)
    if make is None:
        from difflib import get_close_matches

        near = get_close_matches(name, INVARIANTS, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(INVARIANTS)}"
        raise UserError(f'there is no invariant "{name}"; {hint}')
    return make()
