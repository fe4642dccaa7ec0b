"""Nodes that a class of Pods cannot tell apart, kept so that the best of them in a window is found by bisection.

A node's standing in a topology is what decides: two nodes with the same standings differ at most in their fixed score.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, final

from kubesim.scheduler.profile import PodProfile
from kubesim.scheduler.snapshot import NodeInfo

INFEASIBLE: Final = -1

Range = tuple[int, int]
# A node's standing in one topology: its own count where the domain is the node itself, else the domain's name; None
# where the node lacks the label.
Standing = int | str | None
Standings = tuple[Standing, ...]


@final
class Group:
    """Nodes alike in everything but their fixed score; positions by fixed score, best first."""

    __slots__ = ("levels", "negated", "standings")

    def __init__(self, standings: Standings) -> None:
        self.standings = standings
        self.levels: dict[int, list[int]] = {}
        # The fixed scores with their signs changed, ascending.
        self.negated: list[int] = []

    def add(self, fixed: int, position: int) -> None:
        """Take in the node at a position, under the fixed part of its score."""
        positions = self.levels.get(fixed)
        if positions is None:
            self.levels[fixed] = [position]
            insort(self.negated, -fixed)
        else:
            insort(positions, position)

    def remove(self, fixed: int, position: int) -> None:
        """Take out the node at a position."""
        positions = self.levels[fixed]
        if len(positions) == 1:
            del self.levels[fixed]
            del self.negated[bisect_left(self.negated, -fixed)]
        else:
            del positions[bisect_left(positions, position)]

    def best_within(self, ranges: Sequence[Range]) -> int:
        """The highest fixed score of a member in the window, or `INFEASIBLE` where none is in it."""
        for negated in self.negated:
            positions = self.levels[-negated]
            for low, high in ranges:
                at = bisect_left(positions, low)
                if at < len(positions) and positions[at] < high:
                    return -negated
        return INFEASIBLE

    def positions(self) -> Iterator[int]:
        """The members' positions, level by level."""
        for positions in self.levels.values():
            yield from positions


def count_within(positions: Sequence[int], ranges: Sequence[Range]) -> int:
    """How many of the positions, which ascend, lie within the ranges."""
    return sum(bisect_left(positions, high) - bisect_left(positions, low) for low, high in ranges)


def nth_within(lists: Sequence[Sequence[int]], ranges: Sequence[Range], index: int) -> int:
    """The position of that index among the members of all lists, in window order."""
    for low, high in ranges:
        slices = [positions[bisect_left(positions, low) : bisect_left(positions, high)] for positions in lists]
        members = slices[0] if len(slices) == 1 else sorted([p for part in slices for p in part])
        if index < len(members):
            return members[index]
        index -= len(members)
    raise IndexError(index)


@final
class Dimension:
    """One topology that matters to the class: how many (of `column`) are in each of its domains."""

    __slots__ = ("by_name", "column", "counted", "counts", "only_here", "topology_key")

    def __init__(self, topology_key: str, column: int, *, only_here: bool, by_name: bool) -> None:
        self.topology_key = topology_key
        self.column = column
        # A node's count is its own even if other nodes carry the same host name.
        self.only_here = only_here
        # Groups are told apart by the domain's name, not by its count.
        self.by_name = by_name
        # By position: whether the Pods of the node are counted.
        self.counted: list[bool] = []
        self.counts: dict[str, int] = {}

    def standing(self, node: NodeInfo, here: Sequence[int]) -> Standing:
        """Where a node stands in this dimension: its domain, or a count of its own; None outside of all domains."""
        domain = node.labels.get(self.topology_key)
        if domain is None or self.by_name:
            return domain
        return here[self.column] if self.only_here or self.counted[node.position] else 0

    def count(self, standing: Standing) -> int:
        return standing if standing.__class__ is int else self.counts.get(standing, 0)  # type: ignore[arg-type]


class Column(NamedTuple):
    """Something that is counted on each node: what one Pod of a profile adds, and whether leaving Pods add it too."""

    amount: Callable[[PodProfile], int]
    live_only: bool


def is_unique(key: str, order: Sequence[NodeInfo]) -> bool:
    """Whether no two nodes share a value of the label, so that each node is a domain of its own."""
    values = [node.labels[key] for node in order if key in node.labels]
    return len(set(values)) == len(values)
