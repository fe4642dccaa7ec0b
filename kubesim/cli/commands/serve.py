"""`kubesim serve`: a simulated cluster that kubectl and every other client can use, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from kubesim.cli.inputs import cluster_options
from kubesim.cluster import Cluster
from kubesim.errors import UserError
from kubesim.http.kubeconfig import write_kubeconfig
from kubesim.http.pace import MAX
from kubesim.http.served import SERVED, Endpoint, bind, wall_ns
from kubesim.http.state import StateFile
from kubesim.manifests import Manifest, load

EXIT_ENDED = 0
# What has been made at the start stays; looking through it again and again would only cost time.
_COLLECT_EVERY = 50_000


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises:
        UserError: something is wrong with the input, or the port is taken.
    """
    speed = _speed(arguments.speed)
    manifests = load(*arguments.spec, stdin=sys.stdin) if arguments.spec else []
    sock = bind(arguments.port)
    if not arguments.state:
        return _serve(arguments, speed, manifests, sock, None)
    with closing(StateFile(Path(arguments.state))) as state:
        return _serve(arguments, speed, manifests, sock, state)


def _serve(
    arguments: argparse.Namespace,
    speed: float,
    manifests: Sequence[Manifest],
    sock: socket.socket,
    state: StateFile | None,
) -> int:
    options = cluster_options(arguments, **SERVED)
    if state is None or state.is_new:
        cluster = Cluster(options, start_ns=wall_ns())
    else:
        # Names and UIDs are drawn anew, or they would be those that have been given out.
        cluster = Cluster(options, start_ns=wall_ns(), restore=state.restore, seed=options.seed + state.starts)
    endpoint = Endpoint(cluster, speed, is_plain=arguments.insecure_http)
    cluster.apply_loaded(manifests)
    if state is not None:
        state.follow(cluster.plane.server)
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)
    path = Path(arguments.kubeconfig) if arguments.kubeconfig else Path.home() / ".kube" / "kubesim.yaml"

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        await endpoint.start(sock)
        try:
            write_kubeconfig(path, endpoint.kubeconfig())
            _say(f"Kubernetes 1.36, simulated, at {endpoint.url}")
            _say(f"export KUBECONFIG={path.absolute()}")
            await ended.wait()
        finally:
            await endpoint.stop()

    asyncio.run(run())
    cluster.close()
    return EXIT_ENDED


def _speed(text: str) -> float:
    from kubesim.errors import ApiError
    from kubesim.http.control import read_speed

    try:
        return MAX if text == "max" else read_speed(text)
    except ApiError as error:
        raise UserError(f"--speed {text}: {error.message}") from error


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
