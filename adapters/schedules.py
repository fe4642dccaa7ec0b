"""A schedule of faults on a real cluster: each strikes when the wall's clock or a watch says so.

What strikes does so between two looks at the cluster, as all that a scenario does, so a strike may be some milliseconds
late. A watch shows what became of an object and not who wrote it: where a schedule waits for the write of somebody, the
writes of everybody count, and an update is as good as a patch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol, final

from adapters.mirror import Change
from kubesim.api.objects import Object
from kubesim.errors import ApiError, UserError
from kubesim.faults import FAULTS, Disturbance, Schedule, WriteEvent
from kubesim.faults.arguments import Argument, Drain, NodeTarget, PodTarget
from kubesim.faults.draining import is_drained
from kubesim.faults.targets import choose_node, choose_pod
from kubesim.scenario.actions import Actor
from kubesim.scenario.port import Port
from kubesim.sim.loop import SECOND, Loop, Timer

_AGAIN_NS: Final = SECOND
# Upstream: kubectl/pkg/drain/drain.go:evictPods waits so long after a refusal @v1.36
_EVICT_AGAIN_NS: Final = 5 * SECOND
# Writes that say nothing about the state that anybody wants.
_UNCOUNTED: Final = ("event", "lease")
_VERBS: Final = {"ADDED": "created", "MODIFIED": "updated", "DELETED": "deleted"}


class Paced(Port, Protocol):
    """A cluster's port, and the loop in which what is due happens while the port lets time pass."""

    agenda: Loop


class _On(NamedTuple):
    """A fault that is on, and what ends it."""

    fault: str
    subject: str
    undo: Callable[[], None]


@final
class _Awaited:
    """A write that something waits for."""

    def __init__(self, wanted: WriteEvent, action: Callable[[], None]) -> None:
        self.wanted = wanted
        self.action = action
        self.left = wanted.number


@final
class RealFaults:
    """A schedule that is under way. Satisfies `scenario.port.Faults`; `tell` hears in a line of all that is done."""

    def __init__(self, port: Paced, schedule: Schedule, namespace: str, tell: Callable[[str], None]) -> None:
        self._port = port
        self._actor = Actor(port, namespace, Path)
        self._namespace = namespace
        self._tell = tell
        self._schedule = schedule
        self._start_ns = port.now_ns
        self._on: list[_On] = []
        self._awaited: list[_Awaited] = []
        self._timers: list[Timer] = []
        for disturbance in schedule:
            self._await(disturbance)

    @property
    def end_ns(self) -> int:
        ends = [each.at + (each.lasts or 0) for each in self._schedule if each.at is not None]
        return self._start_ns + max(ends, default=0)

    def heal_all(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._awaited.clear()
        for each in self._on[::-1]:
            self._heal(each)

    def look(self, change: Change) -> None:
        """A change of an object was seen. What it brings about happens when the port next lets time pass."""
        for each in list(self._awaited):
            if fits(each.wanted, change):
                each.left -= 1
                if each.left <= 0:
                    self._awaited.remove(each)
                    self._in(0, each.action)

    def _await(self, disturbance: Disturbance) -> None:
        def strike() -> None:
            self._strike(disturbance)

        if disturbance.after_write is not None:
            self._awaited.append(_Awaited(disturbance.after_write, strike))
        else:
            self._in(self._start_ns + (disturbance.at or 0) - self._port.now_ns, strike)

    def _in(self, span_ns: int, action: Callable[[], None]) -> None:
        agenda = self._port.agenda
        at_ns = max(self._port.now_ns + span_ns, agenda.now_ns)
        self._timers.append(agenda.timer(at_ns - agenda.now_ns, action))

    def _strike(self, disturbance: Disturbance) -> None:
        fault = disturbance.fault
        try:
            subject, undo = self._do(fault, disturbance.argument)
        except (UserError, ApiError) as error:
            self._say(f"{fault} cannot be done: {error.message if isinstance(error, ApiError) else error}")
            return
        self._say(f"{fault} {subject}")
        if undo is None:
            return
        on = _On(fault, subject, undo)
        self._on.append(on)
        if disturbance.lasts is not None:
            self._in(disturbance.lasts, lambda: self._heal(on))
        if disturbance.healed_after_write is not None:
            self._awaited.append(_Awaited(disturbance.healed_after_write, lambda: self._heal(on)))

    def _heal(self, on: _On) -> None:
        if on not in self._on:
            return
        try:
            on.undo()
        except ApiError:
            # Whoever mends it tries again until the API server takes it.
            self._in(_AGAIN_NS, lambda: self._heal(on))
            return
        except UserError as error:
            self._say(f"{on.fault} {on.subject} has ended by itself: {error}")
        else:
            self._say(f"{on.fault} {on.subject} is over")
        self._on.remove(on)

    def _say(self, text: str) -> None:
        self._tell(f"{(self._port.now_ns - self._start_ns) / SECOND:.1f} s after the first: {text}")

    # --- what is done ---

    def _do(self, fault: str, argument: Argument) -> tuple[str, Callable[[], None] | None]:
        """Do it now; returns what it was done to, and what ends it, where it lasts."""
        if FAULTS[fault].heals:
            return self._end(fault, argument), None
        if isinstance(argument, Drain):
            return self._drain(argument)
        port = self._port
        if isinstance(argument, NodeTarget):
            node, twin = choose_node(port, argument, self._namespace), FAULTS[fault].healed_by
            self._to_node(fault, node)
            return f"node/{node}", lambda: self._to_node(twin, node)
        if fault == "hang" and isinstance(argument, PodTarget):
            pod, container = choose_pod(port, argument.of, self._namespace, argument.index), argument.container
            port.disturb_pod("hang", pod, container, 0)
            return f"pod/{pod['metadata']['name']}", lambda: port.disturb_pod("wake", pod, container, 0)
        return self._actor.act(fault, argument), None

    def _to_node(self, fault: str, node: str) -> None:
        if fault in ("cordon", "uncordon"):
            self._port.cordon(node, is_cordoned=fault == "cordon")
        else:
            self._port.disturb_node(fault, node)

    def _end(self, twin: str, argument: Argument) -> str:
        """What a twin does: to the node that it names, or to what was disturbed last."""
        on = [each for each in self._on if FAULTS[each.fault].healed_by == twin]
        if isinstance(argument, NodeTarget) and (argument.node or argument.runs is not None):
            node = choose_node(self._port, argument, self._namespace)
            self._to_node(twin, node)
            self._on = [each for each in self._on if each not in on or each.subject != f"node/{node}"]
            return f"node/{node}"
        if not on:
            raise UserError(f"no {FAULTS[twin].heals} is on")
        on[-1].undo()
        self._on.remove(on[-1])
        return on[-1].subject

    def _drain(self, drain: Drain) -> tuple[str, Callable[[], None]]:
        """Cordon, and ask every Pod to go; those that a budget keeps are asked again until the drain's time is over."""
        port = self._port
        node = choose_node(port, drain, self._namespace)
        port.cordon(node, is_cordoned=True)
        end_ns, asked, is_ended = port.now_ns + drain.timeout, set[str](), False

        def ask() -> None:
            left = [pod for pod in port.list("pods") if is_drained(pod, node) and pod["metadata"]["uid"] not in asked]
            asked.update(pod["metadata"]["uid"] for pod in left if self._is_evicted(pod))
            is_refused = any(pod["metadata"]["uid"] not in asked for pod in left)
            if is_refused and not is_ended and port.now_ns + _EVICT_AGAIN_NS < end_ns:
                self._in(_EVICT_AGAIN_NS, ask)

        def undo() -> None:
            nonlocal is_ended
            is_ended = True
            port.cordon(node, is_cordoned=False)

        ask()
        return f"node/{node}", undo

    def _is_evicted(self, pod: Object) -> bool:
        try:
            return not self._port.evict(pod)
        except ApiError:
            return False


def fits(wanted: WriteEvent, change: Change) -> bool:
    """Whether a change that a watch shows is a write that is waited for, whoever made it."""
    verb = _verb_of(change)
    if not verb:
        return False
    kind = change.kind.singular
    of, _, name = wanted.of.partition("/")
    if wanted.of and (of != kind or (name and name != change.object["metadata"]["name"])):
        return False
    if not wanted.of and kind in _UNCOUNTED:
        return False
    return not wanted.verb or verb == ("updated" if wanted.verb == "patched" else wanted.verb)


def _verb_of(change: Change) -> str:
    """created, updated, marked (asked to go) or deleted; nothing for what was there before."""
    verb = _VERBS.get(change.type, "")
    is_new = verb == "updated" and "deletionTimestamp" in change.object["metadata"]
    return "marked" if is_new and "deletionTimestamp" not in (change.before or {}).get("metadata", {}) else verb
