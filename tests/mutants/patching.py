"""Loads modules with edits in their source; nothing is written, the checkout stays as it is."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from typing import Any

from mutants import Edit


class _Loader(importlib.machinery.SourceFileLoader):
    """A source loader that edits what it reads."""

    def __init__(self, name: str, path: str, edits: list[Edit]) -> None:
        super().__init__(name, path)
        self._edits = edits

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002 - the protocol's
        """Compile the edited source; no cached bytecode is read or written."""
        source = self.get_data(self.path).decode()
        for edit in self._edits:
            if source.count(edit.old) != 1:
                raise ValueError(f"{edit.module}: {source.count(edit.old)} times in the source: {edit.old!r}")
            source = source.replace(edit.old, edit.new)
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that are edited."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits: dict[str, list[Edit]] = {}
        for edit in edits:
            self._edits.setdefault(edit.module, []).append(edit)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:  # noqa: ARG002 - the protocol's
        """A spec with our loader for an edited module, None for all others."""
        edits = self._edits.get(fullname)
        if edits is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            return None
        return importlib.util.spec_from_loader(fullname, _Loader(fullname, spec.origin, edits), origin=spec.origin)


def apply(edits: Iterable[Edit]) -> None:
    """Have these modules edited when they are imported, which must not have happened yet."""
    edits = list(edits)
    loaded = [edit.module for edit in edits if edit.module in sys.modules]
    if loaded:
        raise RuntimeError(f"{loaded[0]} has been imported already")
    sys.meta_path.insert(0, _Finder(edits))
