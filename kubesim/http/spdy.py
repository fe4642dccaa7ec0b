"""SPDY/3.1 framing, the server's side, as far as port-forward needs it: streams with headers, data, ends.

Bytes in, events out; nothing here does I/O. There is no flow control, as Kubernetes' own library has none.
Upstream: github.com/moby/spdystream; draft-mbelshe-httpbis-spdy-00, 2.6
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple, final

# What both ends' compressors have read before the first header (2.6.10.1): words with their lengths, then a text.
_WORDS: Final = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TEXT: Final = (
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 "
    b"Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 "
    b"Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept "
    b"Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    b"application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    b"charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY: Final = (
    b"".join(struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS.split()) + _TEXT
)
_VERSION: Final = 0x8003
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_FIN: Final = 1
_FRAME_MAX: Final = 1 << 20
_HEADERS_MAX: Final = 64


class SpdyError(Exception):
    """What has come is no SPDY."""


class Opened(NamedTuple):
    """The client has opened a stream."""

    stream: int
    headers: dict[str, str]


class Received(NamedTuple):
    """Data on a stream; `is_last`: the client has closed its side."""

    stream: int
    data: bytes
    is_last: bool


class Dropped(NamedTuple):
    """The client wants no more of a stream."""

    stream: int


Event = Opened | Received | Dropped


@final
class Session:
    """One connection. What is to be sent to the client gathers in `take`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._outgoing: list[bytes] = []
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def take(self) -> bytes:
        """What has to be sent."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def receive(self, data: bytes) -> Iterator[Event]:
        """What some bytes from the client come to.

        Raises:
            SpdyError: they make no sense.
        """
        self._buffer += data
        while len(self._buffer) >= 8:
            word, rest = struct.unpack_from(">II", self._buffer)
            flags, length = rest >> 24, rest & 0xFFFFFF
            if length > _FRAME_MAX:
                raise SpdyError("a frame is too long")
            if len(self._buffer) < 8 + length:
                return
            body = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if word >> 31:
                if word >> 16 != _VERSION:
                    raise SpdyError(f"version {word >> 16 & 0x7FFF} is not 3")
                yield from self._control(word & 0xFFFF, flags, body)
            else:
                yield Received(word, body, bool(flags & _FIN))

    def _control(self, kind: int, flags: int, body: bytes) -> Iterator[Event]:
        if kind == _SYN_STREAM and len(body) >= 10:
            stream = struct.unpack_from(">I", body)[0] & 0x7FFFFFFF
            yield Opened(stream, self._headers(body[10:]))
            if flags & _FIN:
                yield Received(stream, b"", is_last=True)
        elif kind == _RST_STREAM and len(body) >= 4:
            yield Dropped(struct.unpack_from(">I", body)[0] & 0x7FFFFFFF)
        elif kind == _PING:
            self._outgoing.append(_frame(_PING, 0, body))

    def _headers(self, packed: bytes) -> dict[str, str]:
        try:
            block = self._inflate.decompress(packed, _FRAME_MAX)
            (count,) = struct.unpack_from(">I", block)
            at = 4
            found = {}
            for _ in range(min(count, _HEADERS_MAX)):
                name, at = _text(block, at)
                found[name.lower()], at = _text(block, at)
        except (zlib.error, struct.error) as error:
            raise SpdyError("headers cannot be read") from error
        return found

    def accept(self, stream: int) -> None:
        """Answer a stream that was opened."""
        packed = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._outgoing.append(_frame(_SYN_REPLY, 0, struct.pack(">I", stream) + packed))

    def send(self, stream: int, data: bytes, *, is_last: bool = False) -> None:
        """Data to the client; `is_last` closes the stream's side."""
        self._outgoing.append(struct.pack(">II", stream, (_FIN if is_last else 0) << 24 | len(data)) + data)


def _text(block: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", block, at)
    return block[at + 4 : at + 4 + length].decode("latin-1"), at + 4 + length


def _frame(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">HHI", _VERSION, kind, flags << 24 | len(body)) + body
