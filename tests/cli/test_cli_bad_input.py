"""A user's mistake: one line for each on standard error, exit code 2, nothing on standard output, no traceback."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from kubesim.cli.main import main

STACK = Path(__file__).parents[2] / "specs" / "stack.yaml"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: {app}}}
    spec:
      containers:
        - name: c
          image: nginx
          {more}
"""


def errors_of(capsys, *words):
    """The lines on standard error of a run that is refused."""
    code = main(["run", *map(str, words)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    return [line.removeprefix("error: ") for line in err.splitlines()]


def laughs():
    """Nine levels of nine aliases each."""
    lines, name = ["a: &a [x,x,x,x,x,x,x,x,x]"], "a"
    for following in "bcdefghi":
        lines.append(f"{following}: &{following} [{','.join([f'*{name}'] * 9)}]")
        name = following
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "a: [b\n",
            [
                "m.yaml:2:1: not YAML: while parsing a flow sequence did not find expected ',' or ']'; correct the syntax here or just above"
            ],
        ),
        (
            "apiVersion: v1\nmetadata: {name: x}\n",
            ['m.yaml:1: the object has no kind; add it, as in "kind: Deployment"'],
        ),
        (
            "apiVersion: apps/v1\nkind: Deploymnt\nmetadata: {name: x}\n",
            ["m.yaml:2: Kubernetes 1.36 has no apps/v1 Deploymnt; write apps/v1 Deployment"],
        ),
        (
            "apiVersion: v1\nkind: Deployment\nmetadata: {name: x}\n",
            ["m.yaml:1: Kubernetes 1.36 has no v1 Deployment; write apps/v1 Deployment"],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec:\n  port: 80\n  ports: 80\n",
            [
                'm.yaml:5: Service "x": "spec.port" is not a field of ServiceSpec; write "ports"',
                'm.yaml:6: Service "x": "spec.ports" must be a list, not 80; write it as a list, each item after a dash',
            ],
        ),
        (laughs(), ["m.yaml:6:8: aliases stand for more than 100000 values; write the values out or drop the aliases"]),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            ['m.yaml:5: ConfigMap "a" was already given at m.yaml:1; keep one, or rename one'],
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}\n",
            ['m.yaml:3: there is no namespace "nowhere"; add a Namespace to the manifests'],
        ),
    ],
    ids=[
        "not YAML",
        "no kind",
        "an unknown kind",
        "a kind of another version",
        "an unknown and a mistyped field",
        "a billion laughs",
        "an object twice",
        "a namespace that is not there",
    ],
)
def test_bad_manifests(tmp_path, monkeypatch, capsys, text, expected):
    """Each mistake by file and line, with what to do."""
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(text)

    assert errors_of(capsys, "m.yaml") == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("apiVersion: v1\nkind: Service\nmetadata: {name: s}\n", "m.yaml:1: Service s: spec.ports: Required value"),
        (
            DEPLOYMENT.format(name="web", app="web", more="").replace("image: nginx", ""),
            "m.yaml:13: Deployment web: spec.template.spec.containers[0].image: Required value",
        ),
        (
            DEPLOYMENT.format(name="web", app="web", more="").replace("name: web", "generateName: web-", 1),
            "m.yaml:4: Deployment: cannot use generate name with apply; write metadata.name",
        ),
    ],
    ids=["a Service without a spec", "a container without an image", "a workload without a name"],
)
def test_what_no_story_can_be_told_of(tmp_path, monkeypatch, capsys, text, expected):
    """The default story leaves to the API server what it cannot read itself."""
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(text)

    assert errors_of(capsys, "m.yaml") == [expected]


@pytest.mark.parametrize(
    "changes, field, words",
    [
        ({"app": "other"}, "spec.template.metadata.labels", "`selector` does not match template `labels`"),
        ({"name": "Web_1"}, "metadata.name", "a lowercase RFC 1123 subdomain"),
        (
            {"more": "ports: [{containerPort: 70000}]"},
            "spec.template.spec.containers[0].ports[0].containerPort",
            "must be between 1 and 65535",
        ),
        (
            {"more": "resources: {requests: {cpu: 2}, limits: {cpu: 1}}"},
            "spec.template.spec.containers[0].resources.requests",
            "must be less than or equal to cpu limit of 1",
        ),
        ({"app": "'a b'"}, "spec.template.labels", "a valid label must be"),
    ],
    ids=["a selector beside its template", "a name", "a port", "a request above its limit", "a label"],
)
def test_what_the_api_server_refuses(tmp_path, monkeypatch, capsys, changes, field, words):
    """The real wording, with the line of the field."""
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(DEPLOYMENT.format(**{"name": "web", "app": "web", "more": "", **changes}))

    lines = errors_of(capsys, "m.yaml")

    assert any(line.startswith("m.yaml:") and field in line and words in line for line in lines), lines


def test_a_quantity(tmp_path, monkeypatch, capsys):
    """It is a mistake of form, found while reading."""
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(DEPLOYMENT.format(name="web", app="web", more="resources: {requests: {cpu: 1x}}"))

    (line,) = errors_of(capsys, "m.yaml")

    assert line.startswith('m.yaml:15: Deployment "web": "spec.template.spec.containers[0].resources.requests[cpu]"')


def test_a_file_of_100_megabytes(tmp_path, monkeypatch, capsys):
    """It is not even read."""
    monkeypatch.chdir(tmp_path)
    with Path("big.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)

    assert errors_of(capsys, "big.yaml") == ["big.yaml: bigger than 16 MiB, too big for a manifest; split it"]


@pytest.mark.parametrize(
    "words, expected",
    [
        (["nothing.yaml"], "nothing.yaml: there is no such file or folder; check the path"),
        ([], "there is nothing to run; name a manifest, such as: kubesim run specs/stack.yaml"),
        (["--scenario", "nothing.yaml"], "nothing.yaml: there is no such scenario file; check the path"),
        ([STACK, "--until", "soon"], "--until: 'soon' is no time; write it as in 90s, 5m or 1h30m"),
        ([STACK, "--node-cpu", "1z"], "--node-cpu: '1z' is no quantity; write it as in 4, 500m or 8Gi"),
        (
            [STACK, "--trace", "nowhere/t"],
            "nowhere/t: cannot be written: there is no folder nowhere; name another file",
        ),
        (["-", "-"], "-: standard input can be read once; name it once"),
    ],
    ids=[
        "no such file",
        "nothing at all",
        "no such scenario",
        "no time",
        "no quantity",
        "a trace that cannot be written",
        "twice -",
    ],
)
def test_bad_words(tmp_path, monkeypatch, capsys, words, expected):
    """What is wrong with the words themselves."""
    monkeypatch.chdir(tmp_path)

    assert errors_of(capsys, *words) == [expected]


@pytest.mark.parametrize(
    "words", [["--nodes", "0"], ["--seed", "-1"], ["--output", "xml"], ["--no-such"], ["--node", "3"]]
)
def test_words_that_argparse_refuses(capsys, words):
    """Unknown options, abbreviations and values out of range: exit code 2 as well."""
    with pytest.raises(SystemExit) as caught:
        main(["run", str(STACK), *words])

    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_scenario_that_names_what_is_not_there(tmp_path, capsys):
    """Every reference is checked before anything runs."""
    file = tmp_path / "s.yaml"
    file.write_text(
        f"name: s\npromise: It holds.\nmanifests: ['{STACK}']\nload: {{service: vehicle-ap}}\nsteps:\n"
        "  - crash: deployment/vehicle-apo\n  - losePower: node-7\n"
    )

    assert errors_of(capsys, "--scenario", file) == [
        f"{file}:4:8: there is no service/vehicle-ap in the manifests or the cluster; did you mean service/vehicle-api?",
        f"{file}:6:5: there is no deployment/vehicle-apo in the manifests or the cluster; did you mean deployment/vehicle-api?",
        f"{file}:7:5: there is no node/node-7 in the manifests or the cluster; there are node/node-1, node/node-2, node/node-3",
    ]


def test_a_mistake_on_standard_input(monkeypatch, capsys):
    """It has a name too."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("kind: Pod\n"))

    assert errors_of(capsys, "-")[0] == '<stdin>:1: the object has no apiVersion; add it, as in "apiVersion: apps/v1"'


def test_nothing_is_half_done(tmp_path, monkeypatch, capsys):
    """A refused run leaves the trace of the run before as it was."""
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(DEPLOYMENT.format(name="web", app="other", more=""))
    Path("trace.jsonl").write_text("of the run before")

    errors_of(capsys, "m.yaml", "--trace", "trace.jsonl")

    assert Path("trace.jsonl").read_text() == "of the run before"
