"""Watches over TLS whose readers go, each in another way: nobody else misses an event for them."""

from __future__ import annotations

import base64
import json
import socket
import ssl

import pytest

from kubesim.http.served import ServedCluster

MAPS = "/api/v1/namespaces/default/configmaps"
ROUNDS = 30


@pytest.fixture
def connect(tmp_path, closing):
    """Open a connection as the administrator; the cluster behind it is one over TLS."""
    with ServedCluster(nodes=1) as served:
        config = served.kubeconfig
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        user = config["users"][0]["user"]
        pem = tmp_path / "client.pem"
        pem.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("key", "certificate")))
        context.load_cert_chain(pem)
        host, port = served.url.removeprefix("https://").split(":")

        def opened():
            raw = socket.create_connection((host, int(port)), timeout=10)
            return closing(context.wrap_socket(raw, server_hostname=host))

        yield opened


@pytest.fixture
def closing():
    """Have a connection closed after the test."""
    made = []

    def noted(connection):
        made.append(connection)
        return connection

    yield noted
    for each in made:
        each.close()


def request(connection, method, path, body):
    """Send a request; returns the head of the answer."""
    data = json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    return connection.recv(65536).split(b"\r\n")[0]


def watch(connection):
    """Begin to watch; returns once the server has begun to answer."""
    connection.sendall(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b"200 OK" in connection.recv(65536)


def say_goodbye(connection):
    """Say the end of TLS, and do not wait for the other side's."""
    connection.setblocking(False)
    with pytest.raises(ssl.SSLError):  # the other side has not said it, or says something else first
        connection.unwrap()


def talk_on(connection):
    """Say something that is no request."""
    connection.sendall(b"GARBAGE\r\n\r\n")


@pytest.mark.parametrize("leave", [socket.socket.close, say_goodbye, talk_on], ids=["close", "say goodbye", "talk on"])
def test_nobody_misses_an_event_for_those_who_go(connect, caplog, leave):
    """A reader that stays sees the last change too, and the loop has met no exception."""
    writer, reader = connect(), connect()
    request(writer, "POST", MAPS, {"metadata": {"name": "a"}})
    watch(reader)
    for number in range(ROUNDS):
        going = [connect() for _ in range(4)]
        for each in going:
            watch(each)
        for each in going:
            leave(each)
            text = f"{number}" * 50
            assert request(writer, "PUT", f"{MAPS}/a", {"metadata": {"name": "a"}, "data": {"n": text}}).endswith(
                b"200 OK"
            )
    seen = b""
    while text.encode() not in seen:
        seen += reader.recv(65536)

    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
