"""`kubesim compare` of the reference stack: its forms, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kubesim.cli.main import main

SPECS = Path(__file__).parents[2] / "specs"
STACK, COMPOSE = str(SPECS / "stack.yaml"), str(SPECS / "compose.yaml")
CONTRAST = str(SPECS / "scenarios" / "compose-contrast.yaml")
SVG = "{http://www.w3.org/2000/svg}"


def error_of(capsys, *words):
    """Standard error of a comparison that is refused, without files' folders."""
    code = main(["compare", *map(str, words)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    return err.removeprefix("error: ").replace(f"{SPECS}/", "")


def test_a_scenario_of_ones_own(capsys):
    """Its faults instead of the usual ones; where it has no counterpart in the file, that is said."""
    assert main(["compare", STACK, COMPOSE, "--scenario", CONTRAST, "--operator-after", "2m"]) == 0
    out = capsys.readouterr().out

    titles = [line[6:33].strip() for line in out.splitlines() if line[:6].strip().endswith((":00", ":30"))]
    assert titles == [
        "A process hangs",
        "A Pod is deleted",
        "A version that does not st",
        "A node is lost, for good",
        "the whole time",
    ]
    assert "- A process hangs: docker restart vehicles-vehicle-api-1, after 2m00s" in out


def test_json(capsys):
    """Everything that the table has, in units of its own."""
    assert main(["compare", STACK, COMPOSE, "--scenario", CONTRAST, "--json", "--rate", "2", "--seed", "3"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert (found["format"], found["seed"], found["ratePerSecond"]) == ("kubesim.dev/compare/v1", 3, 2.0)
    assert [each["title"] for each in found["faults"]][:2] == ["A process hangs", "A Pod is deleted"]
    for fault in found["faults"]:
        assert fault["kubernetes"]["requests"]["total"] == fault["compose"]["requests"]["total"]
        assert fault["kubernetes"]["lostWrites"] == 0
    lost = found["faults"][-1]["compose"]
    assert (lost["lostWrites"], lost["byHand"][0]["afterNs"]) == (found["compose"]["lostWrites"], 300_000_000_000)
    assert lost["lostWrites"] > 100
    assert len(found["compose"]["availability"]) == len(found["kubernetes"]["availability"]) > 100


def test_svg(capsys, tmp_path):
    """A panel a side, each fault marked in both, a person's deeds below."""
    file = tmp_path / "picture.svg"
    assert main(["compare", STACK, COMPOSE, "--scenario", CONTRAST, "--svg", str(file)]) == 0
    capsys.readouterr()
    root = ET.fromstring(file.read_text())  # noqa: S314 - our own text

    circles, triangles = root.findall(f"{SVG}circle"), [each for each in root.findall(f"{SVG}polygon") if len(each)]
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert len(circles) == 3 * 4
    assert [each[0].text.partition(",")[0] for each in triangles] == [
        "kubectl rollout undo deployment/vehicle-api",
        "docker restart vehicles-vehicle-api-1",
        "docker compose up -d",
        "the earlier image in the file",
        "another machine with empty volumes",
    ]


@pytest.mark.parametrize(
    "words, expected",
    [
        ((STACK, "nothing.yaml"), "nothing.yaml: there is no such Compose file; check the path\n"),
        ((STACK, STACK), "stack.yaml: it has 8 documents; a Compose file has one\n"),
        (
            (COMPOSE, COMPOSE),
            (
                'compose.yaml:13: the object has no apiVersion; add it, as in "apiVersion: apps/v1"\n'
                'error: compose.yaml:13: the object has no kind; add it, as in "kind: Deployment"\n'
            ),
        ),
        (
            (STACK, COMPOSE, "--operator-after", "soon"),
            "--operator-after: 'soon' is no time; write it as in 90s, 5m or 1h30m\n",
        ),
        (
            (STACK, COMPOSE, "--svg", "no/where.svg"),
            "no/where.svg: cannot be written: there is no folder no; name another file\n",
        ),
        (
            (STACK, COMPOSE, "--scenario", "none.yaml"),
            "none.yaml: there is no such scenario file; check the path\n",
        ),
    ],
)
def test_mistakes(capsys, words, expected):
    """One line: what, where and what to do."""
    assert error_of(capsys, *words) == expected


def test_a_fault_of_a_service_that_compose_has_not(capsys, tmp_path):
    """Before anything runs, with the nearest name."""
    file = tmp_path / "compose.yaml"
    file.write_text(Path(COMPOSE).read_text().replace("  vehicle-api:\n", "  vehicle-ap:\n"))

    expected = "the Compose file has no service for vehicles/deployment/vehicle-api; did you mean vehicle-ap?\n"
    assert error_of(capsys, STACK, file) == expected


def test_mistakes_in_the_compose_file(capsys, tmp_path):
    """All of them at once."""
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  a: {imgae: x}\n")

    assert error_of(capsys, STACK, file).replace(f"{tmp_path}/", "") == (
        "compose.yaml:2:3: services.a has neither image nor build; add one of them\n"
        'error: compose.yaml:2:7: services.a has no key "imgae"; did you mean "image"?\n'
    )


def test_a_stack_that_nobody_has_described(capsys, tmp_path):
    """Plain programs on both sides, which is said; without a restart policy even a crash waits for a person."""
    manifests, compose = tmp_path / "k.yaml", tmp_path / "c.yaml"
    labels = "{app: web}"
    manifests.write_text(f"""\
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {labels}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {labels}}}
  template: {{metadata: {{labels: {labels}}}, spec: {{containers: [{{name: web, image: "nginx:1"}}]}}}}
""")
    compose.write_text("services:\n  web: {image: nginx:1, ports: ['8080:80']}\n  cache: {image: redis, tty: true}\n")

    assert main(["compare", str(manifests), str(compose), "--operator-after", "30s", "--rate", "1"]) == 0
    out = capsys.readouterr().out

    assert "- A process of web crashes: docker compose up -d, for web, after 30.0 s" in out
    assert "- no program is known for redis: a plain one runs" in out
    assert "read, and without effect here: tty" in out.replace("\n  ", " ")
