"""Taste that a machine can check. docs/style.md says why; the messages here say what to do."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from source_tree import CODE, FUNCTION, Module, definitions, dotted, functions, imported_names, modules, parsed

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

# Put together here so that this file is clean itself.
MARKERS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b|" + "NotImplemented" + "Error")

CLOCK = ("take `loop.now_ns`, or `loop.timer` to wait", "time is virtual")
CHANCE = ("draw from a `kubesim.sim.chooser.Stream` that is passed in", "one seed decides every choice")
COPY = ("build the new object with `{**old, …}`", "objects never change, so a copy buys nothing")
# What may not be called, what to do instead, and why. A name ending in a dot bans all that is in the module.
BANNED_CALLS = {
    "time.": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.date.today": CLOCK,
    "random.": CHANCE,
    "uuid.": CHANCE,
    "secrets.": CHANCE,
    "os.urandom": CHANCE,
    "copy.": COPY,
    "hash": ("sort, or use `zlib.crc32` or `hashlib`", "Python salts the hashes of strings in each process"),
    "dataclasses.": (
        "use a NamedTuple, a frozen msgspec.Struct or __slots__",
        "importing dataclasses costs a start 10 ms",
    ),
    "eval": ("parse what you expect", "input is not code"),
    "exec": ("parse what you expect", "input is not code"),
}
# The edges, where the real world begins, and the one place that chance comes from.
EDGES = {
    "kubesim.cli": ("time.",),
    "kubesim.http": ("time.", "datetime.datetime.now"),
    "kubesim.processes": ("time.",),
    "kubesim.sim.chooser": ("random.",),
}

CODE_MODULES = modules(*CODE)
LIBRARY = modules("kubesim")


def _problems(problems: list[str], advice: str) -> str:
    return "\n".join([f"{len(problems)} times: {advice}", *problems])


def test_modules_are_short():
    """A module holds one idea, and 500 lines hold any."""
    long = [
        f"{module.path}: {lines}" for module in CODE_MODULES if (lines := module.text.count("\n")) > MODULE_LINES_MAX
    ]

    assert not long, _problems(long, f"more than {MODULE_LINES_MAX} lines: give the second idea a module of its own")


def test_functions_are_short():
    """A function fits on one screen."""
    long = [
        f"{module.path}:{node.lineno}: {node.name} has {lines}"
        for module in CODE_MODULES
        for node in functions(module)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert not long, _problems(
        long, f"more than {FUNCTION_LINES_MAX} lines: move the leaves into functions of their own"
    )


def test_nothing_is_left_for_later():
    """What is not done stands in an issue or in docs/fidelity.md, not in a comment."""
    left = [
        f"{module.path}:{number}: {line.strip()}"
        for module in (*CODE_MODULES, *modules("tests", "examples"))
        for number, line in enumerate(module.text.splitlines(), 1)
        if MARKERS.search(line)
    ]

    assert not left, _problems(left, "a marker: finish it, or write the gap down where users read it")


def _calls(module: Module) -> Iterator[tuple[int, str]]:
    names = imported_names(module)
    for node in module.nodes:
        if isinstance(node, ast.Call) and (written := dotted(node.func)):
            first, _, rest = written.partition(".")
            meant = names.get(first, first)
            yield node.lineno, f"{meant}.{rest}" if rest else meant


def _is_banned(module: Module, called: str) -> str:
    for banned in BANNED_CALLS:
        if called == banned or (banned.endswith(".") and called.startswith(banned)):
            allowed = any(banned in names for edge, names in EDGES.items() if f"{module.name}.".startswith(f"{edge}."))
            return "" if allowed else banned
    return ""


def test_no_call_reaches_for_the_real_world():
    """Clock, chance and copies have one replacement each."""
    found = []
    for module in LIBRARY:
        for line, called in _calls(module):
            if banned := _is_banned(module, called):
                instead, reason = BANNED_CALLS[banned]
                found.append(f"{module.path}:{line}: {called}: {instead}, for {reason}")

    assert not found, _problems(found, "a banned call")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("import time\ntime.sleep(1)", "time.", id="a plain import"),
        pytest.param("from datetime import datetime as dt\ndt.now()", "datetime.datetime.now", id="an alias"),
        pytest.param("from random import choice\nchoice([1])", "random.", id="a function by name"),
        pytest.param("def time(): ...\nloop.time()", "", id="another thing of that name"),
    ],
)
def test_the_ban_sees_through_imports(text, expected):
    """A call is judged by what its name stands for."""
    module = parsed("kubesim/x.py", "kubesim.x", text)

    assert "".join(_is_banned(module, called) for _, called in _calls(module)) == expected


def test_the_library_does_not_print():
    """Only the command line writes to the terminal."""
    found = [
        f"{module.path}:{line}"
        for module in LIBRARY
        if not module.name.startswith(("kubesim.cli", "kubesim.__main__"))
        for line, called in _calls(module)
        if called == "print"
    ]

    assert not found, _problems(found, "print below the command line: return values, or record them in the trace")


def _is_set(node: ast.expr) -> bool:
    is_call = isinstance(node, ast.Call) and dotted(node.func) in ("set", "frozenset")
    return is_call or isinstance(node, (ast.Set, ast.SetComp))


def test_no_order_comes_from_a_set():
    """Sets of strings come in another order in each process; sort them or use a dict."""
    found = []
    for module in LIBRARY:
        for node in module.nodes:
            walked = [node.iter] if isinstance(node, (ast.For, ast.comprehension)) else []
            if isinstance(node, ast.Call) and dotted(node.func) in ("list", "tuple", "next", "iter", "enumerate"):
                walked = node.args[:1]
            found += [f"{module.path}:{walk.lineno}" for walk in walked if _is_set(walk)]

    assert not found, _problems(found, "a walk over a set: sort it, or keep the names in a dict")


def _protocol_methods() -> set[str]:
    """Methods that a Protocol of the tree describes; who implements one need not describe it again."""
    return {
        method.name
        for module in CODE_MODULES
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and any(dotted(base).endswith("Protocol") for base in node.bases)
        for method in definitions(node.body)
    }


def _overrides(module: Module) -> set[str]:
    """Methods of classes that derive from another project's: that project calls and describes them."""
    names = imported_names(module)
    own = (*CODE, "typing", "msgspec", "enum")
    found = set()
    for node in module.nodes:
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            first, _, rest = dotted(base).partition(".")
            if (first in names or rest) and names.get(first, first).partition(".")[0] not in own:
                found |= {method.name for method in definitions(node.body)}
    return found


def _undocumented(module: Module, described: set[str]) -> Iterator[str]:
    if not ast.get_docstring(module.tree) and module.text.strip():
        yield f"{module.path}: the module"
    described = described | _overrides(module)
    for node in definitions(module.tree.body):
        if node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{module.path}:{node.lineno}: {node.name}"
        for method in definitions(node.body) if isinstance(node, ast.ClassDef) else ():
            if not (method.name.startswith("_") or method.name in described or ast.get_docstring(method)):
                yield f"{module.path}:{method.lineno}: {node.name}.{method.name}"


def test_public_names_are_described():
    """Every module and every public class, function and method says in a sentence what it is."""
    described = _protocol_methods()
    found = [each for module in CODE_MODULES for each in _undocumented(module, described)]

    assert not found, _problems(found, "no docstring: one line that says what a reader cannot see from the name")


def _used_names(module: Module) -> set[str]:
    used = set()
    for node in module.nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            used.add(node.id)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Store):
            used.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used.update(re.findall(r"\w+", node.value))  # annotations as text, look-ups by name
    return used


def _looked_up_prefixes(module: Module) -> tuple[str, ...]:
    """What names begin with that are looked up by a text made at run time: `getattr(self, f"_{verb}")`."""
    return tuple(
        node.args[1].values[0].value
        for node in module.nodes
        if isinstance(node, ast.Call) and dotted(node.func) == "getattr" and isinstance(node.args[1], ast.JoinedStr)
        if isinstance(node.args[1].values[0], ast.Constant)
    )


def _private_names(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        # A decorator may well keep what it is given, in a table of handlers for example.
        if isinstance(node, (*FUNCTION, ast.ClassDef)) and not node.decorator_list:
            yield node.lineno, node.name
    for statement in module.tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from ((statement.lineno, target.id) for target in targets if isinstance(target, ast.Name))


def test_private_names_are_used():
    """A private function, class or constant that its own module does not use is dead."""
    dead = []
    for module in CODE_MODULES:
        used, prefixes = _used_names(module), _looked_up_prefixes(module)
        for line, name in _private_names(module):
            is_private = name.startswith("_") and not name.endswith("__") and name != "_"
            if is_private and name not in used and not name.startswith(prefixes):
                dead.append(f"{module.path}:{line}: {name}")

    assert not dead, _problems(dead, "never used: delete it, or make it public if another module means it")


def test_public_functions_are_used():
    """A public function, class or method that nothing at all mentions is dead, too."""
    everything = (*CODE_MODULES, *modules("tests", "examples"))
    used = Counter(name for module in everything for name in set(re.findall(r"\w+", module.text)))
    overrides = {module.path: _overrides(module) for module in CODE_MODULES}
    here = {module.path: Counter(re.findall(r"\w+", module.text)) for module in CODE_MODULES}
    dead = [
        f"{module.path}:{node.lineno}: {node.name}"
        for module in CODE_MODULES
        for node in module.nodes
        if isinstance(node, (*FUNCTION, ast.ClassDef))
        if not (node.name.startswith(("_", "pytest_")) or node.name in overrides[module.path])
        if used[node.name] == 1 and here[module.path][node.name] == 1
    ]

    assert not dead, _problems(dead, "mentioned nowhere else: delete it, or test what it is for")
