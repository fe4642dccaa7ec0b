"""`kubesim serve` as a process: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture
def serve(tmp_path):
    """Start the command with these words; gives the process, its first two lines and the kubeconfig's path."""
    started = []

    def start(*words):
        path = tmp_path / "config"
        line = [sys.executable, "-m", "kubesim", "serve", "--port", "0", "--kubeconfig", str(path), *words]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process, [process.stdout.readline().strip() for _ in range(2)], path

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(serve, number):
    """It says where it is and what to export, holds what it was given, and ends with 0 and without a word."""
    process, lines, path = serve("specs/stack.yaml", "--insecure-http")
    url = re.fullmatch(r"Kubernetes 1\.36, simulated, at (http://127\.0\.0\.1:\d+)", lines[0])[1]
    with urllib.request.urlopen(f"{url}/apis/apps/v1/statefulsets") as answer:  # noqa: S310 - it is ours
        body = answer.read()
    mode = stat.S_IMODE(path.stat().st_mode)
    process.send_signal(number)
    rest = process.communicate(timeout=30)

    assert lines[1] == f"export KUBECONFIG={path}"
    assert b'"name":"postgres"' in body
    assert (mode, process.returncode, rest) == (0o600, 0, ("", ""))


def test_a_cluster_goes_on_after_a_crash(serve, tmp_path):
    """A server that is killed loses no write; its Pods run again, what is made then has names of its own."""
    state = str(tmp_path / "state")
    process, lines, _ = serve("specs/stack.yaml", "--insecure-http", "--state", state, "--speed", "60")
    url = lines[0].split()[-1]
    ask(f"{url}/api/v1/namespaces/vehicles/configmaps", {"metadata": {"name": "kept"}, "data": {"k": "v"}})
    ask(f"{url}/kubesim/v1/time/run-until-quiet", {})
    before = ask(f"{url}/api/v1/namespaces/vehicles/pods")["items"]
    process.kill()
    process.wait()
    with Path(state).open("ab") as file:
        file.write(b'[99999,"configmaps","vehicles","cut')
    other, lines, _ = serve("--insecure-http", "--state", state, "--speed", "60")
    url = lines[0].split()[-1]
    kept = ask(f"{url}/api/v1/namespaces/vehicles/configmaps/kept")
    ask(f"{url}/kubesim/v1/time/run-until-quiet", {})
    after = ask(f"{url}/api/v1/namespaces/vehicles/pods")["items"]
    third, _, _ = serve("--insecure-http", "--state", state)

    assert kept["data"] == {"k": "v"}
    assert [pod["metadata"]["uid"] for pod in after] == [pod["metadata"]["uid"] for pod in before]
    assert {pod["status"]["phase"] for pod in after} == {"Running"}
    assert (third.wait(30), "another kubesim serves from it" in third.stderr.read()) == (2, True)
    assert other.poll() is None
    assert (tmp_path / ".state.lock").exists()
    other.terminate()
    assert (other.wait(30), (tmp_path / ".state.lock").exists()) == (0, False)


def test_a_refused_state_leaves_nothing_behind(serve, tmp_path):
    """Neither a file that is no state, nor a folder."""
    (tmp_path / "notes").write_text("not ours")
    for name, why in (("notes", "is no state of kubesim"), ("config.d", "is a directory")):
        (tmp_path / "config.d").mkdir(exist_ok=True)
        process, _, _ = serve("--state", str(tmp_path / name))
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, why in errors) == (2, True)

    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.d", "notes"]


def ask(url, body=None):
    """The JSON that a path answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - it is ours
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--speed", "fast"], 'error: --speed fast: speed is a number above 0 and up to 1000000, or "max"\n'),
        (["--node-cpu", "x"], "error: --node-cpu: 'x' is no quantity; write it as in 4, 500m or 8Gi\n"),
        (["nowhere.yaml"], "error: nowhere.yaml: "),
    ],
)
def test_mistakes_end_it_with_a_line(serve, words, said):
    """A mistake of the user's is exit code 2 and one line."""
    process, _, _ = serve(*words)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert errors.startswith(said)
    assert errors.count("\n") == 1
