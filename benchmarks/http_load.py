"""The load of `python -m benchmarks http`: connections that each send their next request when they have the answer.

Sockets are read as they come and an answer's end is found by its length alone, so that a server is busy long before
this process is; `Spent` says how busy it was.
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, final

_BUFFER: Final = bytearray(1 << 20)
_VIEW: Final = memoryview(_BUFFER)
_LONGEST_S: Final = 300.0


class Address(NamedTuple):
    """Where a server listens; `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def text(self, method: str, path: str, body: object = None, *headers: str) -> bytes:
        """A request as it is sent."""
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Accept: application/json", *headers]
        if data:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        return "\r\n".join([*lines, "", ""]).encode() + data

    def connect(self) -> socket.socket:
        """A connection that does not block."""
        sock = socket.create_connection((self.host, self.port), timeout=_LONGEST_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            sock = self.tls.wrap_socket(sock, server_hostname=self.host)
        sock.setblocking(False)
        return sock


def _chunks(sock: socket.socket) -> Iterator[memoryview]:
    """What has come; each is to be read before the next is asked for."""
    is_tls = isinstance(sock, ssl.SSLSocket)
    while True:
        try:
            size = sock.recv_into(_BUFFER)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        if not size:
            raise RuntimeError("the server has closed a connection")
        yield _VIEW[:size]
        if not is_tls and size < len(_BUFFER):
            return


@final
class _Asker:
    """One connection. `answered` is called at every answer's end."""

    def __init__(self, address: Address, texts: Iterator[bytes], answered: Callable[[], None]) -> None:
        self.sock = address.connect()
        self.is_asking = False
        self.body = b""
        self._texts = texts
        self._answered = answered
        self._missing = 0
        self._is_chunked = self._is_headless = False
        self._tail = b""

    def next(self) -> None:
        """Send the next text, if there is one."""
        text = next(self._texts, None)
        self.is_asking = text is not None
        if text is not None:
            self._tail, self._is_headless = b"", True
            self.sock.sendall(text)

    def ready(self) -> None:
        """There is something to read."""
        for chunk in _chunks(self.sock):
            if self._is_headless:
                self._head(bytes(chunk))
            elif self._is_chunked:
                self._tail = self._tail[-6:] + bytes(chunk[-7:])
            else:
                self._missing -= len(chunk)
            is_whole = self._tail.endswith(b"\r\n0\r\n\r\n") if self._is_chunked else not self._missing
            if is_whole and not self._is_headless:
                self._answered()
                self.next()

    def _head(self, data: bytes) -> None:
        head, end, body = (self._tail + data).partition(b"\r\n\r\n")
        if not end:
            self._tail = head
            return
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError((head + body[:300]).decode())
        self._is_headless, self.body = False, body
        _, name, after = head.lower().partition(b"content-length:")
        self._is_chunked = not name
        self._tail = body[-7:]
        self._missing = int(after.partition(b"\r")[0]) - len(body) if name else 0


@final
class _Watcher:
    """One open watch, whose events of changes are counted."""

    _MARK: Final = b'{"type":"MODIFIED"'

    def __init__(self, address: Address, path: str) -> None:
        self.sock = address.connect()
        self.events = 0
        self._tail = b""
        self.sock.sendall(address.text("GET", path))

    def ready(self) -> None:
        """There is something to read."""
        mark = self._MARK
        for chunk in _chunks(self.sock):
            text = self._tail + bytes(chunk)
            self.events += text.count(mark)
            self._tail = text[1 - len(mark) :]


class Spent(NamedTuple):
    """What a load took once its connections were there: answers (or events), seconds, the answers' instants, and CPU
    seconds of the server and of the load."""

    answers: int
    seconds: float
    instants: list[float]
    cpu_s: float
    own_cpu_s: float


Clock = Callable[[], float]


def _drive(readers: Iterable[Any], is_over: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONGEST_S
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.sock, selectors.EVENT_READ, reader)
        while not is_over():
            for key, _ in selector.select(1.0):
                key.data.ready()
            if time.monotonic() > end:
                raise RuntimeError("the server has not answered")


def ask(address: Address, texts: Iterable[bytes], connections: int, cpu: Clock) -> Spent:
    """Send every text and wait for its answer, over so many connections at once; `cpu` is the server's."""
    instants: list[float] = []
    source = iter(texts)
    askers = [_Asker(address, source, lambda: instants.append(time.monotonic())) for _ in range(connections)]
    cpu_s, own, start = cpu(), time.process_time(), time.monotonic()
    for asker in askers:
        asker.next()
    _drive(askers, lambda: not any(asker.is_asking for asker in askers))
    for asker in askers:
        asker.sock.close()
    return Spent(len(instants), instants[-1] - start, instants, cpu() - cpu_s, time.process_time() - own)


def for_seconds(text: bytes, seconds: float) -> Iterator[bytes]:
    """The same request until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield text


def body_of(address: Address, text: bytes) -> bytes:
    """The first part of one answer's body."""
    asker = _Asker(address, iter([text]), lambda: None)
    asker.next()
    _drive([asker], lambda: not asker.is_asking)
    asker.sock.close()
    return asker.body


def fan_out(address: Address, path: str, watchers: int, texts: list[bytes], connections: int, cpu: Clock) -> Spent:
    """Have so many watches of `path` open while every text is sent; count the changes that all of them get."""
    watches = [_Watcher(address, path) for _ in range(watchers)]
    source = iter(texts)
    askers = [_Asker(address, source, lambda: None) for _ in range(connections)]
    quiet = time.monotonic() + 2.0
    _drive(watches, lambda: time.monotonic() > quiet)
    cpu_s, own, start = cpu(), time.process_time(), time.monotonic()
    for asker in askers:
        asker.next()
    wanted = watchers * len(texts)
    _drive([*watches, *askers], lambda: sum(watch.events for watch in watches) >= wanted)
    seconds = time.monotonic() - start
    for sock in [each.sock for each in watches] + [each.sock for each in askers]:
        sock.close()
    return Spent(wanted, seconds, [], cpu() - cpu_s, time.process_time() - own)
