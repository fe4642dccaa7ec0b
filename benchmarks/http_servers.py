"""The servers that `python -m benchmarks http` compares: a served cluster, a bare handler, a real control plane."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml

from benchmarks.http_load import Address, body_of

_REAL = ("kube-apiserver", "etcd")


class Server(NamedTuple):
    """A server that runs, and the processes that answer."""

    name: str
    address: Address
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """What its processes have used of the CPU so far."""
        ticks = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> int:
        """What its processes hold of memory."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _process(words: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of Python's, and the URL in its first line."""
    line = [sys.executable, "-m", *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        try:
            if process.stdout is None:
                raise RuntimeError("no output")
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextmanager
def simulated(name: str, *words: str, tls: bool) -> Iterator[Server]:
    """`kubesim serve`."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        line = ["kubesim", "serve", "--port", "0", "--kubeconfig", str(config), *words]
        with _process(line if tls else [*line, "--insecure-http"]) as (process, _):
            yield Server(name, _address(config), (process.pid,))


@contextmanager
def bare() -> Iterator[Server]:
    """One handler that answers without looking."""
    with _process(["benchmarks.bare_http"]) as (process, url):
        parts = urlsplit(url)
        yield Server("bare aiohttp", Address(parts.hostname or "", parts.port or 0), (process.pid,))


@contextmanager
def real(kubeconfig: Path) -> Iterator[Server]:
    """A control plane of this machine that runs already."""
    names = Path("/proc").glob("[0-9]*/comm")
    pids = [int(name.parent.name) for name in names if name.read_text(encoding="utf-8").strip() in _REAL]
    yield Server("real", _address(kubeconfig), tuple(pids))


def _address(kubeconfig: Path) -> Address:
    """Where a kubeconfig leads, as its first user."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    url = urlsplit(cluster["server"])
    host, port = url.hostname or "", url.port or 0
    if url.scheme == "http":
        return Address(host, port)
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        parts = [_decoded(user[name]) for name in ("client-certificate-data", "client-key-data")]
        file.write_text("".join(parts), encoding="ascii")
        context.load_cert_chain(file)
    return Address(host, port, context)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode("ascii")


def first_answer_s(*words: str) -> float:
    """From the start of `kubesim serve` to its first answer, in seconds."""
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        config = Path(folder) / "config"
        with _process(["kubesim", "serve", "--port", "0", "--kubeconfig", str(config), *words]):
            address = _address(config)
            body_of(address, address.text("GET", "/api/v1/nodes"))
            return time.perf_counter() - start
