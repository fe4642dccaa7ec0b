"""Does faults to one cluster and remembers which are still on, so that each can be ended, and all of them at once."""

from __future__ import annotations

from typing import Any, final

from kubesim.cluster import Cluster
from kubesim.errors import ApiError, UserError
from kubesim.faults.catalogue import FAULTS
from kubesim.faults.kinds import FaultKind, Injection, Undo


@final
class Active:
    """A fault that is on; a second end of it does nothing."""

    __slots__ = ("fault", "subject", "undo")

    def __init__(self, fault: str, subject: str, undo: Undo) -> None:
        self.fault = fault
        self.subject = subject
        self.undo = undo


@final
class Injector:
    """`namespace` is where references without one are looked for; empty means anywhere."""

    def __init__(self, cluster: Cluster, namespace: str = "") -> None:
        self._cluster = cluster
        self.namespace = namespace
        self.active: list[Active] = []

    def inject(self, fault: str, argument: Any) -> tuple[str, Active | None]:
        """Do it now; returns the subject that it was done to, and the fault that is on from now, if it lasts.

        A twin without a target ends the last fault of its kind that is on.

        Raises:
            UserError: what it names is not there, or not in the state for it.
            ApiError: the API server refuses it.
        """
        kind = FAULTS[fault]
        if kind.heals:
            return self._end(kind, argument), None
        done: Injection = kind.inject(self._cluster, argument, self.namespace)
        if done.undo is None:
            return done.subject, None
        active = Active(fault, done.subject, done.undo)
        self.active.append(active)
        return done.subject, active

    def heal(self, active: Active) -> bool:
        """End this fault; returns whether it was still on.

        Raises:
            ApiError: it is ended by a request, which the API server refuses; the fault stays on.
        """
        if active not in self.active:
            return False
        active.undo()
        self.active.remove(active)
        return True

    def heal_last(self, fault: str) -> str:
        """End the last fault of this name that is on; returns its subject.

        Raises:
            UserError: none is on.
        """
        for active in reversed(self.active):
            if active.fault == fault:
                self.heal(active)
                return active.subject
        raise UserError(f"no {fault} is on; a step with {fault} must come before its end")

    def heal_all(self) -> list[tuple[Active, str]]:
        """End all that is on, the latest first, and what needs an API server once that is there.

        Returns what was on, each with an empty text, or with why it is on still: the API server refuses its end for
        reasons of its own, even with all others ended.
        """
        ended: list[tuple[Active, str]] = []
        left = self.active[::-1]
        while left:
            refused: list[tuple[Active, str]] = []
            for active in left:
                try:
                    self.heal(active)
                    ended.append((active, ""))
                except ApiError as error:
                    refused.append((active, error.message))
            if len(refused) == len(left):
                return ended + refused
            left = [active for active, _ in refused]
        return ended

    def _end(self, kind: FaultKind, argument: Any) -> str:
        """What a twin does: to the target that it names, or to the last one that was disturbed."""
        began = [name for name, each in FAULTS.items() if each.healed_by == kind.name]
        on = [each for each in self.active if each.fault in began]
        is_named = bool(getattr(argument, "node", "") or getattr(argument, "runs", None))
        if is_named:
            subject = kind.inject(self._cluster, argument, self.namespace).subject
            self.active = [each for each in self.active if each not in on or each.subject != subject]
            return subject
        if not on:
            what = getattr(argument, "of", "") or "it"
            raise UserError(f"no {kind.heals} of {what} is on; a step with {kind.heals} must come before {kind.name}")
        self.heal(on[-1])
        return on[-1].subject
