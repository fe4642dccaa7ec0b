"""The default story of the reference stack, word for word. A change here is a change of what users read, or of what
Kubernetes does: `pytest tests/golden --golden-rewrite` writes it anew, and the commit says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubesim.cli.main import main

HERE = Path(__file__).parent
STACK = str(HERE.parents[1] / "specs" / "stack.yaml")


@pytest.mark.parametrize(
    "name, words",
    [("default_story.txt", ["run", STACK, "--seed", "0"]), ("graph.txt", ["graph", STACK])],
    ids=["the story", "the graph"],
)
def test_golden_output(request, capsys, name, words):
    """The same words, figures and order as in the file."""
    assert main(words) == 0
    out = capsys.readouterr().out
    file = HERE / name
    if request.config.getoption("--golden-rewrite"):
        assert not os.environ.get("CI"), "golden files are rewritten by hand, not by CI"
        file.write_text(out)

    assert out == file.read_text()
