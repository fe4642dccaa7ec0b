"""Streams without kubectl: SPDY frames, bytes of HTTP, and what is refused before a stream begins."""

from __future__ import annotations

import struct
import zlib

import pytest

from kubesim.http.bridge import HttpBytes
from kubesim.http.spdy import DICTIONARY, Dropped, Opened, Received, Session, SpdyError
from kubesim.network.messages import HttpReply, HttpRequest

PODS = "/api/v1/namespaces/default/pods"


def syn_stream(packer, stream, **headers):
    """A client's frame that opens a stream."""
    block = struct.pack(">I", len(headers))
    for name, value in headers.items():
        block += b"".join(struct.pack(">I", len(text)) + text.encode() for text in (name, value))
    body = struct.pack(">IIBB", stream, 0, 0, 0) + packer.compress(block) + packer.flush(zlib.Z_SYNC_FLUSH)
    return struct.pack(">HHI", 0x8003, 1, len(body)) + body


def test_frames_are_read_however_they_are_cut():
    """Streams with their headers, data and ends come out the same byte by byte."""
    packer = zlib.compressobj(zdict=DICTIONARY)
    sent = syn_stream(packer, 1, streamtype="error", requestid="0")
    sent += syn_stream(packer, 3, streamtype="data", port="80", requestid="0")
    sent += struct.pack(">II", 3, 1 << 24 | 2) + b"hi" + struct.pack(">HHIII", 0x8003, 3, 8, 3, 1)
    session = Session()

    events = [event for byte in sent for event in session.receive(bytes([byte]))]

    assert events == [
        Opened(1, {"streamtype": "error", "requestid": "0"}),
        Opened(3, {"streamtype": "data", "port": "80", "requestid": "0"}),
        Received(3, b"hi", is_last=True),
        Dropped(3),
    ]


def test_answers_are_frames():
    """A reply to a stream, an echo of a ping, data and an end."""
    session = Session()
    ping = struct.pack(">HHII", 0x8003, 6, 4, 7)

    assert list(session.receive(ping)) == []
    session.accept(3)
    session.send(3, b"ok", is_last=True)

    sent = session.take()
    assert sent.startswith(ping)
    assert sent.endswith(struct.pack(">II", 3, 1 << 24 | 2) + b"ok")
    assert session.take() == b""


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 0x80020001, 0),
        struct.pack(">II", 0, 0xFFFFFF),
        struct.pack(">HHI", 0x8003, 1, 12) + bytes(10) + b"xx",
    ],
)
def test_what_is_no_spdy_ends_the_session(data):
    """Another version, a frame without end, headers that are none."""
    with pytest.raises(SpdyError):
        list(Session().receive(data))


def test_http_is_gathered_and_answered():
    """Requests come out when they are whole; answers go out with their length."""
    gathered = HttpBytes()
    first = b'POST /a?b HTTP/1.1\r\nContent-Length: 7\r\n\r\n{"a"'

    assert gathered.requests(first) == []
    assert gathered.requests(b":1}GET / HTTP/1.1\r\n\r\n") == [
        HttpRequest("POST", "/a?b", {"a": 1}),
        HttpRequest("GET", "/"),
    ]
    assert HttpBytes.reply(HttpReply(200, {"b": 2})) == (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"b":2}'
    )
    with pytest.raises(ValueError, match="SSH"):
        gathered.requests(b"SSH-2.0-x\r\n\r\n")


@pytest.fixture(scope="module")
def running(served):
    """A Pod that serves."""
    served.call(
        lambda cluster: cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "runs"},
                "spec": {"containers": [{"name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}]}]},
            }
        )
    )
    served.step(20)


REFUSED = {
    "a Pod that is not there": ("nope/log", 404, 'pods "nope" not found'),
    "a container that is not there": ("runs/log?container=x", 400, "container x is not valid for pod runs"),
    "no container before": ("runs/log?previous=true", 400, 'previous terminated container "c" in pod "runs" not found'),
    "less than nothing": (
        "runs/log?tailLines=-1",
        422,
        'PodLogOptions "" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ),
    "exec without a stream": ("runs/exec?command=true", 400, "you must specify at least 1 of stdin, stdout, stderr"),
    "exec by SPDY": (
        "runs/exec?command=true&stdout=true",
        400,
        "unable to upgrade: kubesim speaks websockets here, not SPDY",
    ),
    "a proxy to nobody": ("nope/proxy/", 404, 'pods "nope" not found'),
}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("path", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_looked_into_is_refused(ask, path, code, message):
    """With upstream's codes and words."""
    answer = ask("GET", f"{PODS}/{path}")

    assert (answer.code, answer.json["message"]) == (code, message)


@pytest.mark.usefixtures("running")
def test_a_program_is_reached_through_the_server(ask):
    """The proxy of a Pod asks the program in it."""
    assert ask("GET", f"{PODS}/runs/proxy/healthz").code == 200
    assert ask("GET", f"{PODS}/runs:80/proxy/").code == 200
