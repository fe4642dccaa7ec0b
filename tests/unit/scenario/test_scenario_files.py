"""The scenarios that ship: each keeps its promise in the simulator, and says nothing about what runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubesim.cli.main import main
from kubesim.scenario.file import read_scenario

FOLDER = Path(__file__).parents[3] / "specs" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_shipped_scenario_keeps_its_promise(path, capsys):
    """Every expectation of the file holds."""
    code = main(["run", "--quiet", "--scenario", str(path)])

    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_shipped_scenario_is_named_as_its_file(path):
    """The name is the file's, and the promise is one sentence or two."""
    scenario = read_scenario(path).scenario

    assert scenario.name == path.stem
    assert scenario.promise.endswith(".")


def test_a_kept_promise_that_is_broken_fails(tmp_path, capsys):
    """The same steps with an expectation that cannot hold give exit code 1 and say which one."""
    text = (FOLDER / "pod-deleted.yaml").read_text().replace("../stack.yaml", str(FOLDER.parent / "stack.yaml"))
    file = tmp_path / "pod-deleted.yaml"
    file.write_text(text.replace("equals: 3}", "equals: 4}"))

    code = main(["run", "--quiet", "--scenario", str(file)])

    assert code == 1
    assert "✗ Pods of deployment/vehicle-api is 4 — found 3 (A user deletes an API Pod)" in capsys.readouterr().out
