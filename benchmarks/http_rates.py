"""What a served cluster answers in a second: GET, LIST, watch events, creates.

`wrk` gives the load of reads, where it is there.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

PODS = 500
WATCHERS = 50
SECONDS = 3
NAMESPACE = "/api/v1/namespaces/rates"


class Connection:
    """One connection to the server."""

    def __init__(self, address: str) -> None:
        self._http = http.client.HTTPConnection(address, timeout=60)

    def __call__(self, method: str, path: str, body: object = None) -> bytes:
        """The body of an answer."""
        data = None if body is None else json.dumps(body)
        self._http.request(method, path, data, {"Content-Type": "application/json"})
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return text


def pod(number: int) -> dict[str, object]:
    """A Pod that no node takes, so that nothing but the API server works."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx:1"}]}
    return {"metadata": {"name": f"p{number:05d}", "labels": {"app": "rates"}}, "spec": spec}


def load(address: str, path: str) -> float:
    """Requests a second that `wrk` gets answered."""
    line = ["wrk", "-t1", "-c8", f"-d{SECONDS}", f"http://{address}{path}"]
    out = subprocess.run(line, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own words
    if "Non-2xx" in out:
        raise RuntimeError(out)
    return float(next(row.split()[1] for row in out.splitlines() if row.startswith("Requests/sec")))


def fan_out(address: str, ask: Connection) -> float:
    """Events a second that all readers together get of changes to one ConfigMap."""
    ask("POST", f"{NAMESPACE}/configmaps", {"metadata": {"name": "w"}, "data": {"k": "0"}})
    counts = [0] * WATCHERS
    done = threading.Event()

    def read(number: int, sock: socket.socket) -> None:
        while not done.is_set():
            data = sock.recv(1 << 16)
            if not data:
                return
            counts[number] += data.count(b'"type":"MODIFIED"')

    socks = []
    host, port = address.split(":")
    for number in range(WATCHERS):
        sock = socket.create_connection((host, int(port)))
        path = f"{NAMESPACE}/configmaps?watch=1&fieldSelector=metadata.name%3Dw"
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        threading.Thread(target=read, args=(number, sock), daemon=True).start()
        socks.append(sock)
    time.sleep(1)
    start = time.monotonic()
    for number in range(1500):
        ask("PUT", f"{NAMESPACE}/configmaps/w", {"metadata": {"name": "w"}, "data": {"k": str(number)}})
    while sum(counts) < 1500 * WATCHERS and time.monotonic() - start < 30:
        time.sleep(0.01)
    took = time.monotonic() - start
    done.set()
    for sock in socks:
        sock.close()
    return sum(counts) / took


def _rates(address: str) -> dict[str, float]:
    ask = Connection(address)
    ask("POST", "/api/v1/namespaces", {"metadata": {"name": "rates"}})
    time.sleep(1)
    start = time.monotonic()
    for number in range(PODS):
        ask("POST", f"{NAMESPACE}/pods", pod(number))
    rates = {"creates a second": PODS / (time.monotonic() - start)}
    if shutil.which("wrk"):
        rates["GETs of one Pod"] = load(address, f"{NAMESPACE}/pods/p00001")
        rates[f"LISTs of {PODS} Pods"] = load(address, f"{NAMESPACE}/pods")
    rates["watch events"] = fan_out(address, ask)
    return {name: round(rate) for name, rate in rates.items()}


def measure() -> dict[str, float]:
    """Serve a cluster in a process of its own, and take the rates a second; all share the machine's cores."""
    with TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "kubesim", "serve", "--insecure-http", "--port", "0"]
        line += ["--kubeconfig", str(Path(folder) / "config")]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own words
            if server.stdout is None:
                raise RuntimeError("no output")
            try:
                return _rates(server.stdout.readline().strip().rpartition("//")[2])
            finally:
                server.send_signal(signal.SIGTERM)
