"""YAML text to documents: JSON-shaped values, with the line and column of every key and item.

Built from libyaml's events with a stack of its own, so that depth, aliases and duplicate keys are under control.
JSON goes the same way, being flow-style YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from kubesim.manifests.scalar import ScalarError, key_text, plain_value, tagged_value

DEPTH_MAX: Final = 200
ALIASED_VALUES_MAX: Final = 100_000
_SURROGATES: Final = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class Spot(NamedTuple):
    """Where a value stands, counted from 0: at its key, or at itself in a list. `inside` has the spots of its parts."""

    line: int
    column: int
    inside: dict[str, Any] | list[Any] | None


class Duplicate(NamedTuple):
    """A key given twice in one mapping: its path (indices as `[0]`) and where each stands."""

    path: tuple[str, ...]
    first: Spot
    second: Spot


class Document(NamedTuple):
    """One YAML document. `value` is None for an empty one."""

    value: Any
    spot: Spot
    duplicates: tuple[Duplicate, ...]


class DocumentError(Exception):
    """Text that is not acceptable YAML; line and column counted from 0."""

    def __init__(self, line: int, column: int, what: str, remedy: str) -> None:
        super().__init__(what)
        self.line = line
        self.column = column
        self.what = what
        self.remedy = remedy


class _Node(NamedTuple):
    value: Any
    inside: dict[str, Any] | list[Any] | None
    size: int


class _Frame:
    """A collection being read. `spots` mirrors `value`; `key` is the mapping key whose value comes next.

    `merged` holds the keys whose present value came through `<<`: a later entry replaces it and is no duplicate.
    """

    __slots__ = ("anchor", "column", "key", "key_spot", "line", "merged", "size", "spots", "value")

    def __init__(self, event: Any, value: Any, spots: Any) -> None:
        self.value = value
        self.spots = spots
        self.anchor: str | None = event.anchor
        self.line: int = event.start_mark.line
        self.column: int = event.start_mark.column
        self.key: Any = None
        self.key_spot = (0, 0)
        self.merged: set[str] = set()
        self.size = 1


_MERGE: Final = object()  # stands for the key of an unquoted `<<`


def read_documents(text: str) -> Iterator[Document]:
    """The documents of a text, one by one.

    Raises:
        DocumentError: the text is not YAML, is nested too deep, or its aliases multiply beyond a bound.
    """
    if text.lstrip()[:1] in ("{", "[") and "\\u" in text:
        text = _SURROGATES.sub(_joined_surrogates, text)
    try:
        parser = yaml.CSafeLoader(text)
        aliased = _Budget()
        while True:
            event = parser.get_event()
            if event is None:
                return
            if isinstance(event, yaml.DocumentStartEvent):
                yield _Builder(parser, aliased).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        what = f"not YAML: {' '.join(part for part in (error.context, error.problem) if part)}"
        raise DocumentError(line, column, what, "correct the syntax here or just above") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        column = error.position - (text.rfind("\n", 0, error.position) + 1)
        what = f"not YAML: the character U+{error.character:04X} is not allowed"
        raise DocumentError(line, column, what, "remove it") from error


def _joined_surrogates(match: re.Match[str]) -> str:
    high, low = (int(half, 16) for half in match.groups())
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


class _Budget:
    """How many values aliases have stood for so far in one text."""

    def __init__(self) -> None:
        self.spent = 0


class _Builder:
    """Reads one document from the events."""

    def __init__(self, parser: Any, budget: _Budget) -> None:
        self._parser = parser
        self._budget = budget
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Node | None] = {}
        self._duplicates: list[Duplicate] = []

    def document(self) -> Document:
        root: _Node | None = None
        line = column = 0
        while True:
            event = self._parser.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                node = self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._open(event, {}, {})
                continue
            elif kind is yaml.SequenceStartEvent:
                self._open(event, [], [])
                continue
            elif kind is yaml.AliasEvent:
                node = self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                if root is None:
                    return Document(None, Spot(line, column, None), ())
                return Document(root.value, Spot(line, column, root.inside), tuple(self._duplicates))
            else:
                frame = self._stack.pop()
                node = self._close(frame)
                mark = (frame.line, frame.column)
                if self._stack:
                    self._place(node, *mark)
                else:
                    root, (line, column) = node, mark
                continue
            mark = (event.start_mark.line, event.start_mark.column)
            if self._stack:
                self._place(node, *mark)
            else:
                root, (line, column) = node, mark

    def _fail(self, event: Any, what: str, remedy: str) -> DocumentError:
        return DocumentError(event.start_mark.line, event.start_mark.column, what, remedy)

    def _open(self, event: Any, value: Any, spots: Any) -> None:
        if len(self._stack) >= DEPTH_MAX:
            raise self._fail(event, f"nested more than {DEPTH_MAX} levels deep", "flatten it")
        if self._stack:
            top = self._stack[-1]
            if type(top.value) is dict and top.key is None:
                raise self._fail(event, "a key must be text, not a collection", "correct the indentation or quote it")
        frame = _Frame(event, value, spots)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = None
        self._stack.append(frame)

    def _close(self, frame: _Frame) -> _Node:
        node = _Node(frame.value, frame.spots, frame.size)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = node
        return node

    def _scalar(self, event: Any) -> _Node:
        tag = event.tag
        text: str = event.value
        try:
            if tag is not None:
                value = text if tag == "!" else tagged_value(tag, text)
            else:
                value = plain_value(text) if event.implicit[0] else text
            top = self._stack[-1] if self._stack else None
            if top is not None and top.key is None and type(top.value) is dict:
                value = _MERGE if text == "<<" and event.implicit[0] else key_text(value)
        except ScalarError as error:
            raise self._fail(event, str(error), "put it in quotes, or correct it") from error
        if event.anchor is not None:
            self._anchors[event.anchor] = _Node(value, None, 1)
        return _Node(value, None, 1)

    def _alias(self, event: Any) -> _Node:
        name = event.anchor
        if name not in self._anchors:
            raise self._fail(
                event, f"the alias *{name} has no anchor &{name} before it", "define it or remove the alias"
            )
        node = self._anchors[name]
        if node is None:
            raise self._fail(event, f"the anchor &{name} contains itself", "remove the alias")
        top = self._stack[-1] if self._stack else None
        if top is not None and top.key is None and type(top.value) is dict and not isinstance(node.value, str):
            raise self._fail(event, "an alias that stands for a key must be text", "write the key out")
        self._budget.spent += node.size
        if self._budget.spent > ALIASED_VALUES_MAX:
            what = f"aliases stand for more than {ALIASED_VALUES_MAX} values"
            raise self._fail(event, what, "write the values out or drop the aliases")
        return node

    def _place(self, node: _Node, line: int, column: int) -> None:
        top = self._stack[-1]
        top.size += node.size
        if type(top.value) is list:
            top.value.append(node.value)
            top.spots.append(Spot(line, column, node.inside))
        elif top.key is None:
            top.key = node.value
            top.key_spot = (line, column)
        else:
            key, top.key = top.key, None
            if key is _MERGE:
                self._merge(top, node)
                return
            spot = Spot(*top.key_spot, node.inside)
            if key in top.merged:
                top.merged.discard(key)
            elif key in top.value:
                path = (*(_step(frame) for frame in self._stack[:-1]), key)
                self._duplicates.append(Duplicate(path, top.spots[key], spot))
            top.value[key] = node.value
            top.spots[key] = spot

    def _merge(self, top: _Frame, node: _Node) -> None:
        """Takes over the entries of a mapping, or of several where the first wins; they replace what stood above."""
        sources = [node]
        if isinstance(node.value, list):
            inside: Any = node.inside
            sources = [_Node(item, spot.inside, 1) for item, spot in zip(node.value, inside, strict=True)]
        if not all(isinstance(source.value, dict) for source in sources):
            raise DocumentError(
                *top.key_spot, 'the value of "<<" must be a mapping', "merge a mapping, or quote the key"
            )
        for source in reversed(sources):
            spots: Any = source.inside
            top.value.update(source.value)
            top.spots.update(spots)
            top.merged.update(source.value)


def _step(frame: _Frame) -> str:
    return str(frame.key) if type(frame.value) is dict else f"[{len(frame.value)}]"
