"""`kubesim run --runtime process` from outside: commands from another terminal, and that nothing is left at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tiny_stacks import ask, marked, service, workload, write_images, write_manifests

pytestmark = pytest.mark.slow


class Running:
    """A `kubesim run` in a process of its own; `mark` is in the environment of all that it starts."""

    def __init__(self, folder, *words):
        self.mark = f"kubesim-test-{folder.name}-{os.getpid()}"
        self.temporary = Path(tempfile.mkdtemp(prefix="ks-"))  # short: a socket's path must be
        tiny = workload("Deployment", "web", container={"env": [{"name": "MARK", "value": self.mark}]})
        self.env = {**os.environ, "TMPDIR": str(self.temporary), "MARK": self.mark}
        spec, images = write_manifests(folder, tiny, service("web")), write_images(folder)
        command = ["run", str(spec), "--runtime", "process", "--images", str(images), "--no-color", *words]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kubesim", *command],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []

    def wait_for(self, text):
        """Read until a line with the text comes."""
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} did not come:\n{''.join(self.lines)}")

    def command(self, *words):
        """Another terminal's command."""
        return subprocess.run(
            [sys.executable, "-m", "kubesim", *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def place(self):
        """Where the Service is, once it is said."""
        line = self.wait_for("Service default/web is at http://")
        ip, _, port = line.rpartition("http://")[2].strip().rstrip("/").partition(":")
        return ip, int(port)

    def end(self, number):
        """Send a signal and wait; returns the exit code and all that was printed."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=90)
        return self.process.returncode, "".join(self.lines) + rest

    def left(self):
        """What is still there of it after a little while: processes, and files in its folder for temporary ones."""
        for _ in range(600):
            found = [*marked(self.mark), *self.temporary.iterdir()]
            if not found:
                break
            time.sleep(0.1)
        return found


@pytest.fixture
def running(tmp_path):
    found = Running(tmp_path)
    yield found
    if found.process.poll() is None:
        found.process.kill()
    found.process.communicate()
    shutil.rmtree(found.temporary, ignore_errors=True)


def test_commands_reach_a_running_stack(running):
    """get, logs, exec and crash do what they say, and what crashed heals."""
    running.place()
    pods = running.command("get", "pods").stdout
    name = pods.splitlines()[1].split()[0].removeprefix("pod/")

    logs = running.command("logs", "deploy/web")
    executed = running.command("exec", name, "--", "sh", "-c", "echo from $HOSTNAME; exit 3")
    crashed = running.command("crash", f"pod/{name}")
    running.wait_for("restarted container tiny")
    before = running.command("logs", name, "--previous")
    wrong = running.command("crash", "pod/nobody")

    assert " 127." in pods, "addresses are those of this machine"
    assert logs.stdout == "listening\n"
    assert (executed.returncode, executed.stdout) == (3, f"from {name}\n")
    assert crashed.stdout == f"pod/{name} is killed (SIGKILL)\n"
    assert before.stdout == "listening\n"
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: there is no pod/nobody")


def test_a_port_can_be_forwarded(running):
    """A port of 127.0.0.1 leads to the Service's."""
    running.place()
    words = [sys.executable, "-m", "kubesim", "port-forward", "service/web", "0:80"]
    forward = subprocess.Popen(words, env=running.env, stdout=subprocess.PIPE, text=True)
    port = int(forward.stdout.readline().split("127.0.0.1:")[1].split()[0])

    answer = ask(("127.0.0.1", port))

    forward.send_signal(signal.SIGINT)
    forward.communicate(timeout=90)
    assert answer["host"].startswith("web-")
    assert forward.returncode == 0


def test_ctrl_c_leaves_nothing(running):
    """The exit code is 0, users were served, and no process, socket or folder is left."""
    place = running.place()
    running.wait_for("users send")
    assert ask(place)["host"].startswith("web-")

    code, text = running.end(signal.SIGINT)

    assert code == 0, text
    assert "availability" in text
    assert running.left() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)


def test_a_killed_supervisor_leaves_nothing(running):
    """After kill -9 of the supervisor all its processes end by themselves, and its folder goes."""
    place = running.place()
    assert marked(running.mark)

    running.end(signal.SIGKILL)

    assert running.left() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)


def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path):
    """Where another program listens, the Service's address and the reason are named, and nothing is left."""
    with socket.socket() as other, tempfile.TemporaryDirectory(prefix="ks-") as temporary:
        other.bind(("0.0.0.0", 0))  # noqa: S104 - so that every address is taken
        other.listen()
        port = other.getsockname()[1]
        spec = write_manifests(tmp_path, workload("Deployment", "web"), service("web", port=port))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "kubesim",
                "run",
                str(spec),
                "--runtime",
                "process",
                "--images",
                str(write_images(tmp_path)),
            ],
            env={**os.environ, "TMPDIR": temporary},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        left = os.listdir(temporary)

    assert done.returncode == 2
    assert done.stderr.startswith("error: Service default/web: 127.")
    assert done.stderr.endswith(f":{port} cannot be used: another program listens there\n")
    assert done.stderr.count("\n") == 1
    assert left == []
