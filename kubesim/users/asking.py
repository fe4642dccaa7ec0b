"""One request to a Service from where users are, which lets time pass until it has its answer."""

from __future__ import annotations

from typing import Final

from kubesim.network.fabric import Fabric
from kubesim.network.messages import Answer, HttpRequest, NetError
from kubesim.sim.loop import SECOND, Loop
from kubesim.users.load import USERS_IP, USERS_NODE

_TIMEOUT_NS: Final = 2 * SECOND


def ask_service(loop: Loop, fabric: Fabric, host: str, port: int, message: HttpRequest) -> Answer:
    """The answer of a name's port, or a `NetError` after at most two seconds."""
    addresses = fabric.names.resolve("default", host).addresses
    if not addresses:
        return NetError("unresolved", f"no such host: {host}")
    place = fabric.attach(USERS_IP, USERS_NODE)
    answers: list[Answer] = []
    fabric.open(place, "default").request(addresses[0], port, message, _TIMEOUT_NS, answers.append)
    loop.run_until(loop.now_ns + 2 * _TIMEOUT_NS, lambda: bool(answers))
    fabric.detach(place)
    return answers[0]
