"""`apply`, `diff`, `status` and `delete`: manifests against the objects of one context."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.applying import Applied, apply_all, find, is_made_by_us, is_ours
from adapters.connection import Connection
from adapters.contexts import choose_target
from adapters.difference import difference_lines
from adapters.order import in_dependency_order
from adapters.waiting import Unready, wait_until_gone, wait_until_ready
from kubesim.api.requests import Options, delete
from kubesim.cli.durations import read_duration
from kubesim.cli.terminal import Progress
from kubesim.errors import ApiError
from kubesim.manifests import Manifest, load

_DONE: Final = 0
_DIFFERS: Final = 1


def _with_cluster(
    work: Callable[[argparse.Namespace, Connection, list[Manifest]], Coroutine[Any, Any, int]],
) -> Callable[[argparse.Namespace], int]:
    """A command over the context that its words name and the manifests that they name, in the order of applying."""

    def command(arguments: argparse.Namespace) -> int:
        target = choose_target(arguments.context, arguments.namespace, arguments.kubeconfig, Path())
        manifests = in_dependency_order(load(*arguments.spec, stdin=sys.stdin, namespace=target.namespace))

        async def go() -> int:
            async with Connection(target) as connection:
                return await work(arguments, connection, manifests)

        return asyncio.run(go())

    return command


async def _apply(arguments: argparse.Namespace, connection: Connection, manifests: list[Manifest]) -> int:
    is_dry = arguments.dry_run is not None
    within_ns = read_duration("--timeout", arguments.timeout)
    async for applied in apply_all(connection, manifests, is_dry=is_dry, is_forced=arguments.force_conflicts):
        _say(f"{name_of(applied.manifest)} {applied.verb}{' (server dry run)' if is_dry else ''}")
    if is_dry or arguments.no_wait:
        return _DONE
    return await wait(connection, manifests, within_ns)


async def wait(connection: Connection, manifests: Sequence[Manifest], within_ns: int) -> int:
    """Wait with a line of progress; say what is ready after how long, or what is not and why."""
    progress = Progress(sys.stderr, is_on=True)
    try:
        seconds = await wait_until_ready(connection, manifests, within_ns, progress.show)
    except Unready as error:
        progress.clear()
        for line in error.lines:
            _say(line)
        return _DIFFERS
    finally:
        progress.clear()
    _say(f"everything is ready after {seconds:.1f} s")
    return _DONE


async def _diff(arguments: argparse.Namespace, connection: Connection, manifests: list[Manifest]) -> int:
    del arguments
    differs = False
    before = {id(manifest): await find(connection, manifest) for manifest in manifests}
    async for applied in apply_all(connection, manifests, is_dry=True, is_forced=True):
        for line in _changes(applied, before[id(applied.manifest)]):
            differs = True
            _say(line)
    return _DIFFERS if differs else _DONE


def _changes(applied: Applied, before: dict[str, Any] | None) -> Iterator[str]:
    lines = list(difference_lines(before, applied.object))
    if lines:
        yield f"{name_of(applied.manifest)} {'would be created' if before is None else 'would change'}"
        yield from lines


async def _status(arguments: argparse.Namespace, connection: Connection, manifests: list[Manifest]) -> int:
    del arguments
    from adapters.waiting import state_of

    is_whole = True
    for manifest in manifests:
        obj = await find(connection, manifest)
        state, is_good = state_of(obj)
        is_whole = is_whole and is_good
        owner = "" if obj is None or is_ours(obj) else " (not applied by us)"
        _say(f"{name_of(manifest):<48} {state}{owner}")
    return _DONE if is_whole else _DIFFERS


async def _delete(arguments: argparse.Namespace, connection: Connection, manifests: list[Manifest]) -> int:
    within_ns = read_duration("--timeout", arguments.timeout)
    gone: list[Manifest] = []
    for manifest in reversed(manifests):
        obj = await find(connection, manifest)
        if obj is None:
            continue
        name = name_of(manifest)
        if not is_ours(obj):
            _say(f"{name} is left: we have not applied it")
            continue
        if manifest.kind.kind == "Namespace" and not is_made_by_us(obj) and not (arguments.yes or _agrees(name)):
            _say(f"{name} is left: it was there before, or others have written it too")
            continue
        metadata = obj["metadata"]
        options = Options(propagation="Background", precondition_uid=metadata["uid"])
        try:
            await connection.send(delete(manifest.kind, metadata.get("namespace", ""), metadata["name"], options))
        except ApiError as error:
            if error.code != 404:
                raise
        _say(f"{name} deleted")
        gone.append(manifest)
    left = await wait_until_gone(connection, gone, within_ns)
    for manifest in left:
        _say(f"{name_of(manifest)} is still there: something holds it; look at its finalizers")
    return _DIFFERS if left else _DONE


def _agrees(name: str) -> bool:
    """Whether the user, asked on a terminal, wants the namespace deleted with all that is in it."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{name} was not made by us alone. Delete it with everything in it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def name_of(manifest: Manifest) -> str:
    """An object as kubectl names it: `deployment.apps/vehicle-api`."""
    kind = manifest.kind
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.singular}{group}/{manifest.object['metadata'].get('name', '')}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


COMMANDS: Final = {
    "apply": _with_cluster(_apply),
    "diff": _with_cluster(_diff),
    "status": _with_cluster(_status),
    "delete": _with_cluster(_delete),
}
