"""`kubesim graph` of the reference stack, in every form."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kubesim.cli.main import main

STACK = str(Path(__file__).parents[2] / "specs" / "stack.yaml")


def graph(capsys, form):
    """Standard output of the command."""
    assert main(["graph", STACK, "--format", form]) == 0
    return capsys.readouterr().out


def test_text(capsys):
    """The path to the data, and what cannot be lost."""
    out = graph(capsys, "text")

    assert out.startswith("users\n└─ Service vehicle-api\n   └─ 3 Pods: vehicle-api-")
    assert "         └─ Pod postgres-0 on node-" in out
    assert "  Pod postgres-0: Service vehicle-api has no Pod left that works\n" in out
    assert "volume data-postgres-0: Service vehicle-api has no Pod left that works\n" in out


@pytest.mark.parametrize(
    "form, start, end", [("mermaid", "flowchart LR\n", "singlePoint\n"), ("dot", "digraph kubesim {\n", "}\n")]
)
def test_drawings(capsys, form, start, end):
    """Every Pod stands in its node, every edge has both its ends."""
    out = graph(capsys, form)

    assert out.startswith(start)
    assert out.endswith(end)
    assert out.count("subgraph") == 3
    assert out.count("->") == 9


def test_svg_is_xml_with_every_part(capsys):
    """One box each, single points of failure in red."""
    root = ET.fromstring(graph(capsys, "svg"))  # noqa: S314 - our own text
    boxes = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("rx")]
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]

    assert len(boxes) == 8
    assert sum(box.get("stroke") == "#c62828" for box in boxes) == 2
    assert {"users", "Service vehicle-api", "Service postgres", "postgres-0", "data-postgres-0"} <= set(texts)


def test_bad_manifests_are_refused(capsys):
    """As with `run`."""
    assert main(["graph", "nothing.yaml"]) == 2
    assert capsys.readouterr().err == "error: nothing.yaml: there is no such file or folder; check the path\n"
