"""The documents are true: what they name exists, what they tell to type runs and prints what stands there."""

from __future__ import annotations

import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from typing import NamedTuple

import pytest
from rewrite import cut
from source_tree import ROOT, modules, texts

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Folders of the project: a path in backticks that begins with one of them must exist.
FOLDERS = ("kubesim", "adapters", "vehicle_api", "specs", "tests", "docs", "examples", "benchmarks", ".ci")
# Commands that prepare the ground for the ones that are checked.
PREPARING = ("git", "cd", "pip", "apt-get")


class Command(NamedTuple):
    """A command of a console block, and the lines printed under it. `…` stands for anything."""

    page: str
    words: tuple[str, ...]
    output: str


def _prose(page):
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def _in_backticks():
    for page in PAGES:
        for text in re.findall(r"`([^`\n]+)`", _prose(page)):
            yield page.relative_to(ROOT).as_posix(), text


def _blocks(*languages):
    for page in PAGES:
        for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if language in languages:
                yield page.relative_to(ROOT).as_posix(), text


def _commands():
    for page, text in _blocks("console", "sh"):
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:] if "$ " in text else text.splitlines()
        for part in parts:
            line, _, output = part.partition("\n")
            words = tuple(shlex.split(line, comments=True))
            if words and words[0] not in PREPARING:
                yield Command(page, words, output)


COMMANDS = list(_commands())


def test_dotted_names_exist():
    """`kubesim.x.y` in a document can be imported."""
    missing = []
    for page, text in _in_backticks():
        if re.fullmatch(r"kubesim(\.\w+)+", text):
            try:
                pkgutil.resolve_name(text)
            except (ImportError, AttributeError):
                missing.append(f"{page}: {text}")

    assert not missing, "\n".join(["no such name: correct the document", *missing])


def test_paths_exist():
    """A path in backticks that begins with a folder of the project leads to a file or folder."""
    missing = [
        f"{page}: {text}"
        for page, text in _in_backticks()
        if text.split("/")[0] in FOLDERS and re.fullmatch(r"[\w.*/-]+/[\w.*/-]*", text)
        if not list(ROOT.glob(text.rstrip("/")))
    ]

    assert not missing, "\n".join(["no such file: correct the document", *missing])


def test_documents_that_the_code_names_exist():
    """A docstring or message that sends its reader to a document sends it to one that is there."""
    named = {
        (module.path, document)
        for module in modules("kubesim", "benchmarks", "tests", "examples")
        for document in re.findall(r"\bdocs/[\w/-]+\.md\b", module.text)
    }
    missing = sorted(f"{path}: {document}" for path, document in named if not (ROOT / document).exists())

    assert not missing, "\n".join(["no such document: write it, or name another", *missing])


def test_links_lead_somewhere():
    """A relative link leads to a file."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", _prose(page))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert not broken, "\n".join(["a link to nowhere", *broken])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {' '.join(command.words)}")
def test_commands_run_and_print_what_stands_there(command):
    """A command of a document ends well, and what is shown of its output is its output."""
    words = list(command.words)
    if words[0] == "make":
        words.insert(1, "--dry-run")
    elif words[0] in ("python", "kubesim"):
        words = [sys.executable, *(words[1:] if words[0] == "python" else ["-m", *words])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{command.words} in {command.page}: {done.stderr}"
    if command.output.strip() and words[0] != "make":
        pattern = re.escape(command.output.strip()).replace("…", ".*")
        shown = re.search(pattern, done.stdout, re.DOTALL)
        advice = f"{command.page} shows another output; if it is right, run: python tests/meta/rewrite.py"
        assert shown is not None, advice


@pytest.mark.parametrize(
    ("page", "text"), [pytest.param(page, text, id=f"{page}:{at}") for at, (page, text) in enumerate(_blocks("python"))]
)
def test_python_blocks_run(page, text, monkeypatch):
    """A Python block of a document runs as it stands, from the project's root."""
    monkeypatch.chdir(ROOT)

    code = compile(text, page, "exec")

    assert exec(code, {"__name__": "document"}) is None  # noqa: S102


def test_targets_of_make_exist():
    """`make x` in a document is a target."""
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    missing = [
        f"{page}: {text}" for page, text in _in_backticks() if text.startswith("make ") and text[5:] not in targets
    ]

    assert not missing, "\n".join(["no such target", *missing])


def test_an_excerpt_can_be_cut_anew():
    """Each part is found by its first line, and ends where its last line did."""
    shown = "run 1: ok\n…\n── b ──…\n  old\n  ✓ done after 1 s\n…\n✓ HEALTHY: 1\n"
    printed = "run 2: ok\n── a ──────\n  no\n── b ──────\n  new\n  two\n  ✓ done after 2 s\n\n✓ HEALTHY: 2\n"

    expected = "run 2: ok\n…\n── b ──…\n  new\n  two\n  ✓ done after 2 s\n…\n✓ HEALTHY: 2\n"
    assert cut(shown, printed) == expected


# Put together here so that this file is clean itself.
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + "work/",
            r"(?<![\w.])/" + "root/",
            "/tm" + r"p/(venv|bash|claude|\w*helper)",
            "/opt/" + "wheels",
            "files." + "pythonhosted",
            "proxy." + r"golang\.org",
            r"\b" + "fou" + r"nder\b",
        ]
    )
)


def test_nothing_of_a_workplace_is_left():
    """No path, host or role of the place where it was written is in the tree."""
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if FOREIGN.search(line)
    ]

    assert not found, "\n".join(["of a workplace, not of the project", *found])


def test_every_dependency_is_locked():
    """Each distribution that pyproject.toml names has its version in .ci/requirements.lock, pinned and plain."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for group in project["optional-dependencies"].values() for each in group),
    ]
    lines = [line for line in (ROOT / ".ci/requirements.lock").read_text().splitlines() if not line.startswith("#")]
    names = {_normal(line.partition("==")[0]) for line in lines}
    missing = [name for each in wanted if (name := _normal(re.split(r"[\[<>=~]", each)[0])) not in names]

    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert [name for name in missing if name != "kubesim"] == [], "renew the lock as its first lines say"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
