"""Plays random sequences on the simulator and on a real API server, each in a namespace of its own.

Controllers get a moment between two requests, so that both have done what follows from one before the next comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from adapters.connection import Connection
from adapters.parity.bodies import KINDS
from adapters.parity.sequences import DONE, Difference, Kept, Trial, answer_of, differences_between
from adapters.parity.steps import CURRENT, Step, name_in, request_of
from kubesim.api.kinds import NAMESPACE, SERVICE_ACCOUNT
from kubesim.api.objects import Object
from kubesim.api.requests import Request, create, delete, get, list_all, patch
from kubesim.cluster import Cluster
from kubesim.errors import ApiError

Send = Callable[[Request], Awaitable[Object]]
Pause = Callable[[float], Awaitable[None]]

_AT_ONCE: Final = 8
_PAUSE_S: Final = 0.15
_UNTIL_GONE_S: Final = 4.0
_RACES: Final = 5
_OVERTAKEN: Final = ("has been modified", "ResourceVersion in precondition")
# Whose status or finalizers a controller writes.
_SHARED: Final = frozenset(
    {"persistentvolumeclaims", "pods", "deployments", "replicasets", "statefulsets", "poddisruptionbudgets"}
)


def play_simulated(sequences: Sequence[tuple[str, list[Step]]]) -> list[Trial]:
    """What the simulator answers."""
    with Cluster(nodes=0, records=False) as cluster:

        async def send(request: Request) -> Object:
            return cluster.send(request)

        async def pause(seconds: float) -> None:
            cluster.run(seconds)

        async def go() -> list[Trial]:
            await pause(10)
            return [await _play(send, pause, namespace, steps) for namespace, steps in sequences]

        return asyncio.run(go())


def differences_from(kept: Kept) -> list[Difference]:
    """Where the simulator answers otherwise than a recording."""
    return differences_between(kept.trials, play_simulated([(each.namespace, each.steps) for each in kept.trials]))


async def play_real(
    connection: Connection, sequences: Sequence[tuple[str, list[Step]]], tell: Callable[[str], None]
) -> list[Trial]:
    """What a real API server answers, several sequences at a time. Their namespaces are deleted afterwards."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(namespace: str, steps: list[Step]) -> Trial:
        async with gate:
            try:
                return await _play(connection.send, asyncio.sleep, namespace, steps)
            finally:
                tell(namespace)
                await _clean(connection, namespace)

    tasks = [asyncio.create_task(one(namespace, steps)) for namespace, steps in sequences]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        # Where one has lost the server, the others have, too.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _play(send: Send, pause: Pause, namespace: str, steps: list[Step]) -> Trial:
    await send(create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
    while await _read(send, get(SERVICE_ACCOUNT, namespace, "default")) is None:
        await pause(_PAUSE_S)
    answers = []
    tokens: dict[str, str] = {}
    for step in steps:
        answers.append(await _carry_out(send, pause, namespace, step, tokens))
    return Trial(namespace, steps, answers)


async def _carry_out(send: Send, pause: Pause, namespace: str, step: Step, tokens: dict[str, str]) -> str:
    for left in reversed(range(_RACES)):
        current = None
        if step.needs_current() and step.name:
            name = name_in(step, namespace)
            current = await _read(send, get(step.kind, _place(step, namespace), name, step.subresource))
        request = request_of(step, namespace, current, tokens.get(step.resource, ""))
        try:
            answer = await send(request)
        except ApiError as error:
            # A controller wrote between the reading and the writing.
            is_fresh = CURRENT in (step.version, *step.options.values())
            is_race = error.code == 409 and is_fresh and any(text in error.message for text in _OVERTAKEN)
            if is_race and current is not None and left:
                continue
            return answer_of(error)
        break
    if step.verb == "list":
        tokens[step.resource] = answer["metadata"].get("continue", "")
    elif step.verb == "delete":
        await _wait_until_gone(send, pause, namespace, step)
    elif step.verb != "get" and step.resource in _SHARED:
        await pause(_PAUSE_S)
    return DONE


def _place(step: Step, namespace: str) -> str:
    return namespace if step.kind.namespaced else ""


async def _wait_until_gone(send: Send, pause: Pause, namespace: str, step: Step) -> None:
    """Until those who hold a deleted object for a moment have let go of it."""
    waited_s = 0.0
    while waited_s < _UNTIL_GONE_S:
        obj = await _read(send, get(step.kind, _place(step, namespace), name_in(step, namespace)))
        metadata = (obj or {}).get("metadata") or {}
        if "deletionTimestamp" not in metadata or "example.com/hold" in metadata.get("finalizers", ()):
            return
        await pause(_PAUSE_S)
        waited_s += _PAUSE_S


async def _read(send: Send, request: Request) -> Object | None:
    try:
        return await send(request)
    except ApiError:
        return None


async def _clean(connection: Connection, namespace: str) -> None:
    """Take away finalizers, what is in no namespace, and the namespace."""
    for kind in KINDS.values():
        for obj in (await connection.send(list_all(kind, namespace if kind.namespaced else "")))["items"]:
            name = obj["metadata"]["name"]
            if not kind.namespaced and not name.startswith(f"{namespace}-"):
                continue
            place = namespace if kind.namespaced else ""
            if not kind.namespaced:
                await _read(connection.send, delete(kind, "", name))
            if obj["metadata"].get("finalizers"):
                await _read(connection.send, patch(kind, place, name, {"metadata": {"finalizers": None}}))
    await _read(connection.send, delete(NAMESPACE, "", namespace))
