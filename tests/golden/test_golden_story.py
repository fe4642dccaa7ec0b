"""What the commands say of the reference stack, word for word. A change here is a change of what users read, or of what
Kubernetes does: `pytest tests/golden --golden-rewrite` writes it anew, and the commit says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubesim.cli.main import main

HERE = Path(__file__).parent
STACK, COMPOSE = "specs/stack.yaml", "specs/compose.yaml"


@pytest.mark.parametrize(
    "name, words",
    [
        ("default_story.txt", ["run", STACK, "--seed", "0"]),
        ("graph.txt", ["graph", STACK]),
        ("comparison.txt", ["compare", STACK, COMPOSE]),
    ],
    ids=["the story", "the graph", "the comparison"],
)
def test_golden_output(request, capsys, monkeypatch, name, words):
    """The same words, figures and order as in the file."""
    monkeypatch.chdir(HERE.parents[1])
    monkeypatch.delenv("POSTGRES_PASSWORD", raising=False)
    assert main(words) == 0
    out = capsys.readouterr().out
    file = HERE / name
    if request.config.getoption("--golden-rewrite"):
        assert not os.environ.get("CI"), "golden files are rewritten by hand, not by CI"
        file.write_text(out)

    assert out == file.read_text()
