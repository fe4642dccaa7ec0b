"""The project's own files as the checks of this folder read them: paths, texts and syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# What is shipped or run; the rest of the tree is tests and prose.
CODE = ("kubesim", "adapters", "vehicle_api", "benchmarks")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_GENERATED = {".git", ".venv", "__pycache__", "build", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}


class Module(NamedTuple):
    """One Python file: path from the project's root, dotted name, text, syntax tree, and the tree's nodes in a row."""

    path: str
    name: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The Python files below these folders, in order of their paths."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(_read(path) for path in found if not _GENERATED & set(path.relative_to(ROOT).parts))


@cache
def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(ROOT)
    name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
    return parsed(relative.as_posix(), name, text)


def parsed(path: str, name: str, text: str) -> Module:
    """A module made from its text."""
    tree = ast.parse(text)
    return Module(path, name, text, tree, tuple(ast.walk(tree)))


def texts() -> Iterator[tuple[str, str]]:
    """Path and text of every file that a reader of the project may open."""
    for path in sorted(ROOT.rglob("*")):
        relative = path.relative_to(ROOT)
        is_ours = not any(part in _GENERATED or part.endswith((".egg-info", "_cache")) for part in relative.parts)
        if is_ours and path.is_file() and path.suffix not in (".gz", ".pyc", ".png"):
            yield relative.as_posix(), path.read_text(encoding="utf-8", errors="replace")


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones too."""
    return (node for node in module.nodes if isinstance(node, FUNCTION))


def definitions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions and classes that stand directly in a body."""
    return (node for node in body if isinstance(node, (*FUNCTION, ast.ClassDef)))


def imported_names(module: Module) -> dict[str, str]:
    """What each imported name stands for, dotted: `from datetime import datetime as dt` gives dt → datetime.datetime."""
    names = {}
    for node in module.nodes:
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of attributes of a name; empty for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
