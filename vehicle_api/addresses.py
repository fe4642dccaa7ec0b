"""From the database's name to an address, without ever stopping the event loop or the end of the process.

libpq looks names up itself, but with a blocking call even where it connects asynchronously: with the cluster's DNS
away, the whole service would stand still, liveness probe and all. So the look-up happens here, in a thread of its own
that nobody has to wait for, and libpq is handed an address.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Resolver:
    """Looks one host up; callers that come meanwhile share the look-up that is under way."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._pending: asyncio.Future[tuple[str, ...]] | None = None

    async def resolve(self) -> tuple[str, ...]:
        """The host's addresses in the order to try them; none for a folder of sockets, which needs no look-up.

        Raises:
            OSError: the name is not known, or its servers do not answer.
        """
        if self._host.startswith("/"):
            return ()
        if _is_address(self._host):
            return (self._host,)
        if self._pending is None or self._pending.done():
            self._pending = asyncio.get_running_loop().create_future()
            # A daemon: a look-up may take a minute, and the process must be able to end meanwhile.
            threading.Thread(target=self._look_up, args=(self._pending,), name="resolver", daemon=True).start()
        return await asyncio.shield(self._pending)

    def _look_up(self, pending: asyncio.Future[tuple[str, ...]]) -> None:
        try:
            found = socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
            outcome: tuple[str, ...] | OSError = tuple(dict.fromkeys(str(each[4][0]) for each in found))
        except (OSError, UnicodeError) as error:
            outcome = OSError(f"cannot look up {self._host!r}: {error}")
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            pending.get_loop().call_soon_threadsafe(_settle, pending, outcome)


def _settle(pending: asyncio.Future[tuple[str, ...]], outcome: tuple[str, ...] | OSError) -> None:
    if isinstance(outcome, OSError):
        pending.set_exception(outcome)
        pending.exception()  # whoever asked may have given up; that is no reason for a warning
    else:
        pending.set_result(outcome)
