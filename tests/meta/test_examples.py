"""Every example runs and prints what its `.out` file says."""

from __future__ import annotations

import runpy

import pytest
from source_tree import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_its_out_file(example, monkeypatch, capsys):
    """The output is the same in every run, so it is compared as it is."""
    monkeypatch.chdir(ROOT)

    runpy.run_path(str(example), run_name="__main__")

    printed = capsys.readouterr().out
    expected = example.with_suffix(".out")
    advice = "if what it prints is right, run: python tests/meta/rewrite.py"
    assert printed == expected.read_text(encoding="utf-8"), advice


def test_there_are_no_stray_outputs():
    """Each `.out` file has its example."""
    assert [path.stem for path in EXAMPLES] == sorted(path.stem for path in (ROOT / "examples").glob("*.out"))
