"""Asking a served cluster over HTTP."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, NamedTuple

from kubesim.http.served import ServedCluster

FACTS = Path(__file__).parent / "facts"


class Answer(NamedTuple):
    """What came back."""

    code: int
    headers: dict[str, str]
    text: bytes
    warnings: list[str]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


class Asking:
    """Sends one request a connection."""

    def __init__(self, served: ServedCluster) -> None:
        self.served = served
        self._address = served.url.removeprefix("http://")

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """The answer to a request; a body that is no bytes is sent as JSON, `_` in a header's name means `-`."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Answer(
                response.status, dict(response.getheaders()), response.read(), response.headers.get_all("Warning", [])
            )
        finally:
            connection.close()

    def watch(self, path: str, **headers: str) -> list[Any]:
        """The events of a watch until it ends."""
        return [json.loads(line) for line in self("GET", path, **headers).text.splitlines()]
