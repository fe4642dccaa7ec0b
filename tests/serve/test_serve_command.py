"""`kubesim serve` as a process: what it prints and writes, and how it ends."""

from __future__ import annotations

import re
import signal
import stat
import subprocess
import sys
import urllib.request

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
