"""What the cluster holds, kept up to date by watches, so that conditions can be asked without a request each.

One task a kind lists and watches, as a client-go reflector does: after a lost connection it goes on from the last
resourceVersion, after 410 it lists anew and tells what has changed meanwhile.
Upstream: client-go/tools/cache/reflector.go:Reflector.ListAndWatch @v1.36
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Final, NamedTuple, final

import aiohttp

from adapters.connection import Connection
from adapters.http_form import path_of
from kubesim.api.objects import Key, Object, key_of
from kubesim.api.requests import list_all
from kubesim.api.scheme import Kind
from kubesim.errors import ApiError, UserError

_PAUSE_S: Final = 0.5
_EXPIRED: Final = 410
_LOST: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class Change(NamedTuple):
    """ADDED, MODIFIED or DELETED, or INITIAL for what was there before; the object as it is then, and was `before`."""

    type: str
    kind: Kind
    object: Object
    before: Object | None = None


@final
class Mirror:
    """Objects of some kinds by namespace and name. `on_change` hears of each change, in the order of its kind."""

    def __init__(self, connection: Connection, on_change: Callable[[Change], None] = lambda _: None) -> None:
        self._connection = connection
        self._on_change = on_change
        self._objects: dict[Kind, dict[Key, Object]] = {}
        self._tasks: dict[Kind, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def follow(self, kinds: Iterable[Kind]) -> None:
        """Begin with these kinds; returns when they have been listed.

        Raises:
            ApiError: one of them may not be listed.
        """
        new = [kind for kind in kinds if kind not in self._tasks]
        for kind in new:
            self._objects[kind] = {}
        revisions = await asyncio.gather(*(self._list(kind, "INITIAL") for kind in new))
        for kind, revision in zip(new, revisions, strict=True):
            self._tasks[kind] = asyncio.create_task(self._watch(kind, revision))

    def follows(self, kind: Kind) -> bool:
        """Whether the kind is kept here."""
        return kind in self._tasks

    def objects(self, kind: Kind) -> dict[Key, Object]:
        """All objects of a kind that is followed; not to be changed."""
        return self._objects[kind]

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until something changes, or so long; returns whether it did."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _list(self, kind: Kind, added: str) -> str:
        answer = await self._connection.send(list_all(kind))
        known, objects = self._objects[kind], {}
        for item in answer.get("items") or ():
            obj = {"apiVersion": kind.api_version, "kind": kind.kind, **item}
            objects[key_of(obj)] = obj
        for key in [key for key in known if key not in objects]:
            self._take(Change("DELETED", kind, known[key]))
        for key, obj in objects.items():
            before = known.get(key)
            if before is None:
                self._take(Change(added, kind, obj))
            elif before["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._take(Change("MODIFIED", kind, obj))
        return str(answer["metadata"]["resourceVersion"])

    async def _watch(self, kind: Kind, revision: str) -> None:
        while True:
            try:
                revision = await self._follow_on(kind, revision)
            except ApiError as error:
                if error.code != _EXPIRED:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                revision = await self._list_again(kind)
            except _LOST:
                await asyncio.sleep(_PAUSE_S)

    async def _list_again(self, kind: Kind) -> str:
        while True:
            try:
                return await self._list(kind, "ADDED")
            except (ApiError, UserError):
                await asyncio.sleep(_PAUSE_S)

    async def _follow_on(self, kind: Kind, revision: str) -> str:
        """Take events until the server ends the watch; returns the revision to go on from."""
        query = {"watch": "true", "resourceVersion": revision, "allowWatchBookmarks": "true"}
        try:
            async with aclosing(self._connection.stream(path_of(kind), query)) as events:
                async for event in events:
                    obj = event["object"]
                    if event["type"] == "ERROR":
                        raise ApiError(obj.get("code", 500), obj.get("reason", ""), obj.get("message", ""))
                    revision = obj["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._take(Change(event["type"], kind, obj))
        except _LOST:
            pass
        return revision

    def _take(self, change: Change) -> None:
        objects, key = self._objects[change.kind], key_of(change.object)
        before = objects.pop(key, None)
        if change.type != "DELETED":
            objects[key] = change.object
        self._on_change(change._replace(before=before))
        self._changed.set()
