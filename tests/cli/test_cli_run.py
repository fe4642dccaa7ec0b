"""What `kubesim run` prints, in each form, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kubesim.cli.main import main

ROOT = Path(__file__).parents[2]
STACK = str(ROOT / "specs" / "stack.yaml")


def output_of(capsys, *words, code=0):
    """Standard output of a run."""
    assert main(["run", *words]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_quiet_prints_the_verdict_only(capsys):
    """One line when all is well."""
    (line,) = output_of(capsys, STACK, "--quiet").splitlines()

    assert line.startswith("✓ HEALTHY: 9 expectations held, healed from 6 disturbances")
    assert line.endswith("acknowledged writes kept, none lost")


def test_json_and_yaml_are_the_same_document(capsys):
    """Machines get everything that people get, once."""
    document = json.loads(output_of(capsys, STACK, "--output", "json"))

    assert yaml.load(output_of(capsys, STACK, "--output", "yaml"), yaml.CSafeLoader) == document
    assert document["format"] == "kubesim.dev/run/v1"
    assert document["healthy"] is True
    assert [step["action"] for step in document["steps"]] == [
        None,
        "crash",
        "delete",
        "crash",
        "losePower",
        "restorePower",
        "setImage",
    ]
    assert document["writes"]["lost"] == []
    assert (
        document["requests"]["total"]
        == document["requests"]["served"] + document["requests"]["refused"] + document["requests"]["failed"]
    )


def test_the_trace_on_standard_output_and_in_a_file(tmp_path, capsys):
    """One JSON array a line, the same in both places, in the order of time."""
    file = tmp_path / "trace.jsonl"

    out = output_of(capsys, STACK, "--output", "jsonl", "--trace", str(file))

    assert file.read_text() == out
    records = [json.loads(line) for line in out.splitlines()]
    assert all(len(record) == 6 for record in records)
    assert [record[0] for record in records] == sorted(record[0] for record in records)


def test_the_same_seed_gives_the_same_run_and_another_one_another(capsys):
    """Byte for byte."""
    first, again, other = (output_of(capsys, STACK, "--seed", seed, "--until", "40s") for seed in ("1", "1", "2"))

    assert first == again
    assert first != other


def test_until_stops_and_says_what_was_left_out(capsys):
    """Steps that have not begun are named, and nothing that needs the end is judged."""
    out = output_of(capsys, STACK, "--until", "30s")

    assert "stopped by --until; not run: A container of vehicle-api crashes" in out
    assert "What is there after 0:30 of virtual time" in out


def test_standard_input_and_kind_list(capsys, monkeypatch):
    """`-` reads manifests, and a List is its items."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod]})))

    out = output_of(capsys, "-")

    assert "pod/a   1/1     Running   0" in out
    assert "no Deployment, StatefulSet or ReplicaSet is here: nothing to disturb" in out
    assert "no program is known for x" in out


def test_what_nothing_acts_on_is_named(tmp_path, capsys):
    """Kinds that are only stored are accepted, and the report says so."""
    file = tmp_path / "m.yaml"
    file.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: in}\nspec: {defaultBackend: {service: {name: a, port: {number: 80}}}}\n"
    )

    assert "checked and stored, but nothing acts on them here: Ingress in" in output_of(capsys, str(file))


def test_a_stack_that_never_comes_up_fails(tmp_path, capsys):
    """Exit code 1, the scheduler's reason in the timeline, and the Pod Pending in the table."""
    file = tmp_path / "m.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: big}\nspec: {containers: [{name: c, image: x, resources: {requests: {cpu: 100}}}]}\n"
    )

    out = output_of(capsys, str(file), code=1)

    assert "scheduler       finds no node for big: 0/3 nodes are available: 3 Insufficient cpu" in out
    assert "pod/big   0/1     Pending" in out
    assert "✗ FAILED: 1 of 1 expectations did not hold" in out


@pytest.mark.parametrize("terminal, is_coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals(monkeypatch, terminal, is_coloured):
    """And for those that want it."""
    from kubesim.cli.terminal import Paint

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in terminal.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    stream.isatty = lambda: True

    assert (Paint(stream)("x", "red") != "x") is is_coloured
    assert Paint(stream, is_off=True)("x", "red") == "x"
    assert Paint(io.StringIO())("x", "red") == "x"


def start(*words):
    """The real command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kubesim", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_reader_that_goes_away():
    """`kubesim … | head -1` ends without a word of complaint."""
    process = start("run", STACK, "--output", "jsonl")
    process.stdout.readline()
    process.stdout.close()

    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


class Interrupting:
    """A standard input at which the user presses Ctrl-C."""

    def read(self, _):
        raise KeyboardInterrupt


def test_interrupted(monkeypatch, capsys):
    """Ctrl-C ends it with the shell's code for that and one line."""
    monkeypatch.setattr(sys, "stdin", Interrupting())

    assert main(["run", "-"]) == 130
    assert capsys.readouterr() == ("", "\ninterrupted\n")


def test_help_is_quick_to_import():
    """Parsing words needs neither YAML nor msgspec nor any part of the cluster."""
    code = "import sys; from kubesim.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint([m for m in ('yaml', 'msgspec', 'kubesim.cluster', 'networkx') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.splitlines()[-1] == "[]"


def test_without_its_packages():
    """Where nothing has been installed it says what to do."""
    found = subprocess.run(
        [sys.executable, "-S", "-m", "kubesim", "run", STACK],
        cwd=ROOT,
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (found.returncode, found.stdout) == (2, "")
    assert re.fullmatch(r"error: the package '\w+' is not installed here; run: pip install -e \.\n", found.stderr)


def test_version(capsys):
    """It is the package's."""
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["version"]

    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"kubesim {wanted} (models Kubernetes 1.36)\n"
