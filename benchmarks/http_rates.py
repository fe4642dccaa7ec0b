"""What a served cluster answers in a second: GET, LIST, watch events, creates; beside a bare handler and the real one.

The servers take turns at each measure, so that what else the machine does meets all of them. The load is a process of
its own on the same cores; CPU times are the server's, per request, and say what a rate would be on a core of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks import http_load, http_servers
from benchmarks.http_load import Spent
from benchmarks.http_servers import Server

LISTED = 500
CREATED = 10_000
CREATED_AND_RUN = 2_000
CONNECTIONS = 8
WATCHERS = 100
CHANGES = 1_000
SECONDS = 3.0
_NAMESPACES = ("listed", "created", "run")
_PLACE = "/api/v1/namespaces"
Measure = Callable[[Server], Spent]


def pod(number: int, scheduler: str) -> dict[str, object]:
    """A Pod; of a scheduler that is not there, so that nothing but the API server works, or of the default one."""
    spec = {"schedulerName": scheduler, "containers": [{"name": "c", "image": "nginx:1"}]}
    return {"metadata": {"name": f"p{number:05d}", "labels": {"app": "rates"}}, "spec": spec}


def creates(server: Server, namespace: str, count: int, scheduler: str = "nobody") -> Iterator[bytes]:
    """Requests that create Pods."""
    for number in range(count):
        yield server.address.text("POST", f"{_PLACE}/{namespace}/pods", pod(number, scheduler))


def _prepare(server: Server) -> None:
    address = server.address
    for namespace in _NAMESPACES:
        http_load.body_of(address, address.text("POST", _PLACE, {"metadata": {"name": namespace}}))
    time.sleep(2)  # its service account is made by a controller
    http_load.ask(address, creates(server, "listed", LISTED), CONNECTIONS, server.cpu_s)
    config = {"metadata": {"name": "w"}, "data": {"k": "before"}}
    http_load.body_of(address, address.text("POST", f"{_PLACE}/listed/configmaps", config))


def repeated(path: str, *headers: str) -> Measure:
    """The same GET for a few seconds."""

    def measured(server: Server) -> Spent:
        text = server.address.text("GET", path, None, *headers)
        return http_load.ask(server.address, http_load.for_seconds(text, SECONDS), CONNECTIONS, server.cpu_s)

    return measured


def _created(namespace: str, count: int, scheduler: str) -> Measure:
    def measured(server: Server) -> Spent:
        texts = list(creates(server, namespace, count, scheduler))
        return http_load.ask(server.address, texts, CONNECTIONS, server.cpu_s)

    return measured


def _watched(server: Server) -> Spent:
    path = f"{_PLACE}/listed/configmaps"
    texts = [
        server.address.text("PUT", f"{path}/w", {"metadata": {"name": "w"}, "data": {"k": str(number)}})
        for number in range(CHANGES)
    ]
    path = f"{path}?watch=1&fieldSelector=metadata.name%3Dw"
    return http_load.fan_out(server.address, path, WATCHERS, texts, 4, server.cpu_s)


GET: Final = f"{_PLACE}/listed/pods/p00001"
LIST: Final = f"{_PLACE}/listed/pods"
MEASURES: Final[dict[str, Measure]] = {
    "GET of one Pod": repeated(GET),
    f"LIST of {LISTED} Pods": repeated(LIST),
    f"LIST of {LISTED} Pods, gzip": repeated(LIST, "Accept-Encoding: gzip"),
    f"events to {WATCHERS} watches": _watched,
    f"creates of {CREATED:,} Pods": _created("created", CREATED, "nobody"),
    f"creates of {CREATED_AND_RUN:,} Pods that run": _created("run", CREATED_AND_RUN, "default-scheduler"),
}


def figures(server: Server, measured: Measure) -> dict[str, Any]:
    """What a measure finds at a server."""
    spent = measured(server)
    found = {
        "per_second": round(spent.answers / spent.seconds),
        "server_cpu_us": round(spent.cpu_s / spent.answers * 1e6, 1),
        "load_cpu_share": round(spent.own_cpu_s / spent.seconds, 2),
    }
    if spent.answers == CREATED:
        tenth = CREATED // 10
        instants = spent.instants
        first, last = instants[tenth - 1] - instants[0], instants[-1] - instants[-tenth]
        found["last_tenth_over_first"] = round(first / last, 2)
    return found


def measure(kubeconfig: str) -> dict[str, Any]:
    """Rates by measure and server; `kubeconfig` leads to a real control plane, if it is not empty."""
    rates: dict[str, Any] = {}
    with ExitStack() as stack:
        plain = stack.enter_context(http_servers.simulated("kubesim, plain HTTP", tls=False))
        servers = [plain, stack.enter_context(http_servers.simulated("kubesim", tls=True))]
        if kubeconfig:
            servers.append(stack.enter_context(http_servers.real(Path(kubeconfig))))
        for server in servers:
            _prepare(server)
        bare = stack.enter_context(http_servers.bare())
        size = len(http_load.body_of(plain.address, plain.address.text("GET", GET)))
        rates[f"GET of as many bytes: {bare.name}"] = figures(bare, repeated(f"/{size}"))
        for name, measured in MEASURES.items():
            for server in servers:
                rates[f"{name}: {server.name}"] = figures(server, measured)
        for server in servers:
            rates[f"memory at the end: {server.name}"] = {"mb": server.memory_bytes() // 1_000_000}
    starts = sorted(http_servers.first_answer_s() for _ in range(5))
    rates["start to first answer: kubesim"] = {"seconds": round(starts[2], 2)}
    return rates
