"""One line of a timeline, and how equal lines about equal things become one.

Three replicas do everything three times. Lines of one `group` that follow each other closely are told once, with what
they were about as a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

_TOGETHER_NS: Final = 4_000_000_000
_ITEMS_MAX: Final = 4


class Line(NamedTuple):
    """What an actor did at an instant, and why, in words.

    Lines with the same `group` may be told together: `many` is then their text, with `{n}` for how many, `{items}` for
    their `item`s and `{tail}` for what the last of them says. A line without a group ends all groups before it: what
    comes after it may be its consequence.
    """

    at_ns: int
    actor: str
    text: str
    group: str = ""
    item: str = ""
    many: str = ""
    tail: str = ""


def together(lines: Iterable[Line]) -> list[Line]:
    """The lines with those of one group joined, each at the instant of its group's first."""
    groups: list[list[Line]] = []
    open_groups: dict[str, list[Line]] = {}
    for line in lines:
        group = open_groups.get(line.group) if line.group else None
        if group is not None and line.at_ns - group[-1].at_ns <= _TOGETHER_NS:
            group.append(line)
            continue
        if not line.group:
            open_groups.clear()
        group = [line]
        groups.append(group)
        if line.group:
            open_groups[line.group] = group
    return [_joined(group) for group in groups]


def _joined(group: list[Line]) -> Line:
    first = group[0]
    if not first.group:
        return first
    items = list(dict.fromkeys(line.item for line in group))
    if len(items) < 2:
        return first
    shown = ", ".join(items[:_ITEMS_MAX])
    if len(items) > _ITEMS_MAX:
        shown += f" and {len(items) - _ITEMS_MAX} more"
    actors = {line.actor for line in group}
    actor = first.actor if len(actors) == 1 else first.actor.partition("/")[0] + "s"
    return first._replace(actor=actor, text=first.many.format(n=len(items), items=shown, tail=group[-1].tail))
