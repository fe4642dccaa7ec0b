"""What every test has: a sentence, an assertion, and a file name of its own."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from source_tree import definitions, dotted, modules

TESTS = modules("tests")
# A helper that asserts is named so; `raises` and `warns` are pytest's.
ASSERTING = re.compile(r"^(assert|check|expect|verify|must)|raises$|warns$|^fail$|_check$")


def _tests():
    for module in TESTS:
        for node in definitions(module.tree.body):
            for each in definitions(node.body) if isinstance(node, ast.ClassDef) else [node]:
                if each.name.startswith("test_") and Path(module.path).name.startswith("test_"):
                    yield module, each


def _asserts(node: ast.AST) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Assert):
            return True
        if isinstance(each, ast.Call) and ASSERTING.search(dotted(each.func).rpartition(".")[2]):
            return True
    return False


def test_every_test_has_a_sentence():
    """The docstring says what holds, so that a failure can be read without the code."""
    missing = [f"{module.path}:{node.lineno}: {node.name}" for module, node in _tests() if not ast.get_docstring(node)]

    assert not missing, "\n".join(["no docstring: say in one sentence what holds", *missing])


def test_every_test_asserts():
    """A test that cannot fail is none. Helpers count when they assert, or are named for it."""
    helpers = {module.path: {node.name for node in definitions(module.tree.body) if _asserts(node)} for module in TESTS}
    shared = {name for names in helpers.values() for name in names if not name.startswith("test_")}
    idle = [
        f"{module.path}:{node.lineno}: {node.name}"
        for module, node in _tests()
        if not _asserts(node)
        and not any(
            isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in shared for each in ast.walk(node)
        )
    ]

    assert not idle, "\n".join(["nothing is asserted: state what must hold", *idle])


def test_every_test_file_has_a_name_of_its_own():
    """Test folders are no packages, so two files of one name hide each other."""
    places = defaultdict(list)
    for module in TESTS:
        places[Path(module.path).name].append(module.path)
    twice = [paths for name, paths in places.items() if len(paths) > 1 and name != "conftest.py"]

    assert not twice, f"the same name twice: {twice}"


def test_every_test_file_is_collected():
    """A file with tests that pytest does not look into proves nothing."""
    lost = [
        module.path
        for module in TESTS
        if not Path(module.path).name.startswith("test_")
        and any(node.name.startswith("test_") for node in definitions(module.tree.body))
    ]

    assert not lost, f"rename to test_*.py: {lost}"
