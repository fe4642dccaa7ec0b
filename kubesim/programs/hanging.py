"""A process that has been stopped: connections to it stand, and what is asked waits until it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubesim.network.messages import Handler, OnAnswer
    from kubesim.network.sockets import Sockets


@final
class Hang:
    """Keeps all that is asked through some sockets, from its making to `end`."""

    __slots__ = ("_handlers", "_kept", "_listeners", "_sockets", "commands", "is_told_to_end")

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self.is_told_to_end = False
        # Commands without a time limit that were to run meanwhile; the runtime calls them when they can end.
        self.commands: list[Callable[[None], None]] = []
        self._kept: list[tuple[Handler, Any, OnAnswer]] = []
        self._handlers: dict[Handler, Handler] = {}
        listeners = sockets.host.listeners
        self._listeners = {port: entry for port, entry in listeners.items() if entry[0] is sockets}
        for port, (_, handler) in self._listeners.items():
            listeners[port] = (sockets, self._keeper(handler))
        for connection in sockets.inbound:
            connection.handler = self._keeper(connection.handler)
        self._disturb()

    def _keeper(self, handler: Handler) -> Handler:
        def keep(message: Any, on_answer: OnAnswer) -> None:
            if self._sockets.is_closed:
                return
            self._kept.append((handler, message, on_answer))

        self._handlers[keep] = handler
        return keep

    def _disturb(self) -> None:
        """Tell both ends of every connection that it may behave differently from now on."""
        for connection in (*self._sockets.inbound, *self._sockets.outbound):
            connection.disturbed()

    def end(self) -> None:
        """Handle what was kept, and everything from now on, as before."""
        for connection in self._sockets.inbound:
            # Connections made during the hang have got a keeper from their listener.
            connection.handler = self._handlers.get(connection.handler, connection.handler)
        self._sockets.host.listeners.update(self._listeners)
        for handler, message, on_answer in self._kept:
            handler(message, on_answer)
        self._disturb()
