"""`kubesim test` and `kubesim replay`: what they print, keep and refuse."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kubesim.cli.main import main
from kubesim.search.journal import read_journal

STACK = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: web}]}
"""


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A folder to work in, with a Deployment of one Pod: whoever disturbs it takes it from its users."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").write_text(STACK, encoding="utf-8")
    return tmp_path


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
SEARCH = ("test", "web.yaml", "--faults", "crash", "--nodes", "1", "--workers", "1")


@pytest.mark.usefixtures("stack")
def test_a_search_without_a_finding_says_what_was_tried(capsys):
    """Exit code 0, and a summary."""
    code = main([*SEARCH, "--examples", "16"])

    out = capsys.readouterr().out
    assert code == 0
    assert re.fullmatch(
        r"16 schedules, \d+ faults, \d+ distinct states, worst availability [\d.]+ %\n"
        r"Every promise was kept \(seed 0\)\.\n",
        out,
    )


def test_a_finding_is_told_kept_and_replayed(stack, capsys):
    """Exit code 1; the file replays to the same digest in this process and in another one."""
    code = main([*SEARCH, "--examples", "64", "--availability", "0.999"])
    out = capsys.readouterr().out

    assert code == 1
    assert re.search(r"^Schedule \d+ breaks availability: ", out, re.MULTILINE)
    assert re.search(r"^It had \d+ faults?; shrunk to 1\.$", out, re.MULTILINE)
    assert re.search(r"^  \{at: 0s, crash: \{of: deployment/web.*\}\}  \(strikes 0:\d+\.\d+\)$", out, re.MULTILINE)
    assert "the process of container web exits with code 1" in out
    assert "Without the faults the run first differs here:" in out
    kept = yaml.safe_load((stack / "kubesim-test" / "failure.yaml").read_text(encoding="utf-8"))
    assert kept["manifests"] == ["../web.yaml"]
    assert kept["checks"]["breaks"] == "availability"

    assert main(["replay", "kubesim-test/failure.yaml", "--quiet"]) == 1
    assert f"trace {kept['checks']['digest']}\n" in capsys.readouterr().out
    command = [sys.executable, "-m", "kubesim", "replay", "kubesim-test/failure.yaml", "--quiet"]
    environment = {**ENVIRONMENT, "PYTHONHASHSEED": "7"}
    other = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert other.returncode == 1
    assert f"trace {kept['checks']['digest']}\n" in other.stdout


SCENARIO = """\
name: web
promise: Users of web are served.
manifests: [web.yaml]
cluster: {nodes: 1}
load: {service: web, ratePerSecond: 5}
steps:
  - crash: deployment/web
    expect: [recovery: 8s]
expect: [availability: 0.01]
"""


@pytest.mark.parametrize(
    "words, breaks, told",
    [
        ((), "recovery", r"its users are not served for \S+ s, longer than 8\.0 s"),
        (("--recovery", "10m"), "", ""),
        (("--recovery", "5m", "--availability", "0.9"), "availability", "less than 0.9 of them"),
    ],
)
def test_the_budgets_of_a_scenario_are_promises(stack, capsys, words, breaks, told):
    """What a scenario expects of users is searched for, shrunk, kept and broken again by the replay. A container is
    restarted at once the first time, and after ten seconds the second."""
    (stack / "promise.yaml").write_text(SCENARIO, encoding="utf-8")
    faults = ("--faults", "crash", "--workers", "1", "--examples", "32")
    code = main(["test", "promise.yaml", *faults, *words, "--quiet"])
    out = capsys.readouterr().out

    assert code == (1 if breaks else 0)
    if breaks:
        assert re.search(f"breaks {breaks}: Users ", out)
        assert re.search(told, out)
        kept = yaml.safe_load((stack / "kubesim-test" / "failure.yaml").read_text(encoding="utf-8"))
        assert kept["checks"]["breaks"] == breaks
        assert kept["checks"]["recovery"] == ("300s" if words else "8s")
        assert main(["replay", "kubesim-test/failure.yaml", "--quiet"]) == 1
        assert f"trace {kept['checks']['digest']}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change, told",
    [
        (
            ("load: {service: web, ratePerSecond: 5}\n", ""),
            "availability and recovery are of users; give the scenario a load",
        ),
        (("manifests: [web.yaml]\n", ""), "it has no manifests, so there is nothing to test"),
    ],
)
def test_a_scenario_that_promises_nothing_to_search_for(stack, capsys, change, told):
    """It is said what is missing."""
    (stack / "promise.yaml").write_text(SCENARIO.replace(*change), encoding="utf-8")

    assert main(["test", "promise.yaml", "--workers", "1"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("stack")
def test_a_replay_becomes_a_test(capsys):
    """The test that is written fails as long as the promise is broken."""
    main([*SEARCH, "--examples", "64", "--availability", "0.999", "--quiet"])
    assert main(["replay", "kubesim-test/failure.yaml", "--as-pytest"]) == 0
    capsys.readouterr()

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "kubesim-test/test_failure.py"]
    run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert run.returncode == 1
    assert "Violation(invariant='availability'" in run.stdout


def test_a_campaign_goes_on_from_its_folder(stack, capsys):
    """Its order is kept there; what was played is counted and not played again."""
    assert main([*SEARCH, "--examples", "32"]) == 0
    first = capsys.readouterr().out
    journal = stack / "kubesim-test" / "campaign.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:100])

    assert main(["test", "--resume", "kubesim-test", "--workers", "1"]) == 0
    assert capsys.readouterr().out == first
    assert journal.read_bytes() == b"".join(lines)


def test_an_interrupted_campaign_says_how_to_go_on(stack):
    """Ctrl-C ends it with 130; whole chains are kept."""
    command = [sys.executable, "-m", "kubesim", *SEARCH, "--for", "10m"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT) as campaign:
        journal = stack / "kubesim-test" / "campaign.jsonl"
        while campaign.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
            pass
        campaign.send_signal(signal.SIGINT)
        try:
            out, error = campaign.communicate(timeout=100)
        finally:
            campaign.kill()

    assert (campaign.returncode, out) == (130, "")
    assert error == "interrupted; go on with: kubesim test --resume kubesim-test\n"
    assert len(read_journal(Path("kubesim-test"))[1]) >= 1


@pytest.mark.usefixtures("stack")
def test_a_small_scope_is_played_wholly(capsys):
    """Every crash, and after each write that changes something every crash again."""
    assert main([*SEARCH, "--exhaustive", "2"]) == 0

    assert re.match(r"\d+ schedules of up to 2 faults, \d+ more led to known states\n", capsys.readouterr().out)


@pytest.mark.usefixtures("stack")
def test_futures_are_told_for_each_event_of_an_update(capsys):
    """Every crash at every event; a crash of one of two Pods is noticed by those whom it served."""
    words = ["test", "web.yaml", "--nodes", "2", "--futures", "deployment/web", "--faults", "crash"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert main([*words, "--quiet"]) == 0

    verdict = out.splitlines()[-1]
    events, futures = re.match(r"(\d+) events, (\d+) futures of 30 s: in \d+% of them", verdict).groups()
    assert re.search(r"^ +0:00\.\d+ +\d+% +0%  replicaset-controller created pod/default/web-", out, re.MULTILINE)
    assert int(futures) % int(events) == 0
    assert capsys.readouterr().out == f"{verdict}\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["test", "web.yaml", "--futures", "deployment/nothing"],
            "--futures: there is no deployment/nothing; there are",
        ),
        (["test"], "there is nothing to test; name a manifest"),
        (["test", "nothing.yaml"], "nothing.yaml"),
        (["test", "web.yaml", "--faults", "losePowr"], 'there is no fault "losePowr"; did you mean losePower?'),
        (
            ["test", "web.yaml", "--invariants", "oneIdentiy"],
            'there is no invariant "oneIdentiy"; did you mean oneIdentity?',
        ),
        (["test", "web.yaml", "--for", "soon"], "--for: 'soon' is no time"),
        (["test", "--resume", "nowhere"], "there is no campaign to go on with"),
        (["replay", "nothing.yaml"], "there is no such scenario file"),
        (["replay", "plain.yaml"], "it has no checks, so there is nothing to replay"),
        (["replay", "unknown.yaml"], "unknown.yaml:3:23: there is no invariant"),
    ],
)
def test_a_mistake_is_one_line(stack, capsys, words, said):
    """Exit code 2, with what is wrong and what to do."""
    (stack / "plain.yaml").write_text("name: a\npromise: b\nfaults: []\n", encoding="utf-8")
    unknown = "name: a\npromise: b\nchecks: {invariants: [oneIdentit]}\nfaults: []\n"
    (stack / "unknown.yaml").write_text(unknown, encoding="utf-8")

    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
