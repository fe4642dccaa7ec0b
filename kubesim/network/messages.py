"""What travels over a simulated connection, and how it can fail.

A message is any value the two programs agree on; `HttpRequest`/`HttpReply` are what probes, users and the shipped
programs speak. A call ends in exactly one answer or one `NetError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

# refused: nothing listens there (an RST at once). reset: the connection was cut while in use. timeout: no answer in
# time (a lost node, a partition, a hung process). unresolved: DNS has no such name. unreachable: a Service without
# ready endpoints (kube-proxy rejects at once).
Failure = Literal["refused", "reset", "timeout", "unresolved", "unreachable"]


class NetError(NamedTuple):
    """A call or connect that failed; `text` is what the caller's log would say."""

    failure: Failure
    text: str


NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class HttpRequest(NamedTuple):
    """An HTTP request; `body` is a JSON-shaped value or None. Headers are spelt as in `Content-Type`."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = NO_HEADERS


class HttpReply(NamedTuple):
    """An HTTP response."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = NO_HEADERS


Answer = Any  # a message, or a NetError
OnAnswer = Callable[[Answer], None]
# A server's side of a call: the message, and what to call with the answer, now or later, at most once.
Handler = Callable[[Any, OnAnswer], None]
