"""What is wrong with the API server as those meet it who come over HTTP: one world in a pause for each row.

Upstream: apiserver/pkg/server/filters/priority-and-fairness.go @v1.36 for a request that is turned away; the rest is what
a client sees of a process that is gone, and what the faults say of themselves.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import select
from contextlib import ExitStack

import aiohttp
import pytest

from kubesim.http.served import ServedCluster

FAULTS = "/kubesim/v1/faults"
CORE = "/api/v1/namespaces/default"
MAPS, SECRETS = f"{CORE}/configmaps", f"{CORE}/secrets"
MERGE = {"Content_Type": "application/merge-patch+json"}
ALL = {"by": "http", "share": 1.0}


@pytest.fixture
def served():
    """A node, in a pause."""
    with ServedCluster(nodes=1, insecure_http=True) as cluster:
        cluster.pause()
        cluster.step(5)
        yield cluster


@pytest.fixture
def watch(served):
    """Open a watch; it is closed after the test."""
    with ExitStack() as stack:

        def opened(path):
            reader = Reader(served, path)
            stack.callback(reader.connection.close)
            return reader

        yield opened


class Reader:
    """An open watch, or another answer that does not end."""

    def __init__(self, served, path):
        self.connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
        self.connection.request("GET", path)
        # The connection lets it go when the answer says that it is its last.
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self._read = b""

    @property
    def has_come(self):
        """Whether there is something to read."""
        return bool(self._read or select.select([self.socket], [], [], 0)[0])

    def line(self):
        """The next line; None at the end, `cut` where it broke."""
        while b"\n" not in self._read:
            try:
                piece = self.response.read1()
            except (http.client.IncompleteRead, ConnectionError):
                return "cut"
            if not piece:
                return None
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line

    def event(self):
        """The next event's type, with its object's name or a Status' code; or as `line`."""
        line = self.line()
        if line in (None, "cut"):
            return line
        event = json.loads(line)
        return event["type"], event["object"].get("code") or event["object"]["metadata"].get("name")

    def events(self, number):
        """The next events."""
        return [self.event() for _ in range(number)]


def code_of(ask, *request, **headers):
    """The code of an answer, `cut` where the connection broke without one."""
    try:
        return ask(*request, **headers).code
    except ConnectionError:
        return "cut"


def make(ask, name, where=MAPS):
    """A new object."""
    return ask("POST", where, {"metadata": {"name": name}}).json["metadata"]["resourceVersion"]


# --- requests ---


@pytest.mark.parametrize(
    ("fault", "argument", "method", "code", "seconds", "value"),
    [
        ("stopApiServer", {}, "PUT", "cut", 0, "1"),
        ("stopApiServer", {}, "GET", "cut", 0, "1"),
        ("slowApiServer", {"by": "http", "added": "7s"}, "PUT", 200, 7, "2"),
        ("slowApiServer", {"by": "http", "added": "7s"}, "GET", 200, 7, "1"),
        ("slowApiServer", {"added": "7s"}, "PATCH", 200, 7, "2"),
        ("slowApiServer", {"by": "kube-scheduler", "added": "7s"}, "PUT", 200, 0, "2"),
        ("overloadApiServer", ALL, "PUT", 429, 0, "1"),
        ("overloadApiServer", ALL, "GET", 429, 0, "1"),
        ("overloadApiServer", {"share": 1.0}, "GET", 429, 0, "1"),
        ("overloadApiServer", {"level": "system", "share": 1.0}, "PUT", 200, 0, "2"),
        ("conflictStorm", ALL, "PUT", 409, 0, "1"),
        ("conflictStorm", ALL, "PATCH", 409, 0, "1"),
        ("conflictStorm", ALL, "GET", 200, 0, "1"),
        ("conflictStorm", {**ALL, "of": "configmap"}, "PUT", 409, 0, "1"),
        ("conflictStorm", {**ALL, "of": "secret"}, "PUT", 200, 0, "2"),
        ("loseReplies", {"by": "http"}, "PUT", "cut", 0, "2"),
        ("loseReplies", {}, "PATCH", "cut", 0, "2"),
        ("loseReplies", {"by": "http"}, "GET", 200, 0, "1"),
        ("loseReplies", {"by": "http", "of": "secret"}, "PUT", 200, 0, "2"),
        ("loseReplies", {"by": "kubelet"}, "PUT", 200, 0, "2"),
        ("delayWatches", {"by": "http"}, "PUT", 200, 0, "2"),
        ("freezeReads", {"by": "http"}, "GET", 200, 0, "1"),
    ],
)
def test_what_becomes_of_a_request(served, ask, fault, argument, method, code, seconds, value):
    """Its code, the virtual time that it takes, and whether a write was done; and all is well when it is healed."""
    made = ask("POST", MAPS, {"metadata": {"name": "a"}, "data": {"k": "1"}}).json
    body = None if method == "GET" else {"metadata": {**made["metadata"]}, "data": {"k": "2"}}
    headers = MERGE if method == "PATCH" else {}
    assert ask("POST", FAULTS, {fault: argument}).code == 201
    start_ns = served.cluster.now_ns
    seen = code_of(ask, method, f"{MAPS}/a", body, **headers)
    took_ns = served.cluster.now_ns - start_ns
    healed = ask("DELETE", FAULTS)

    assert (seen, took_ns / 1e9) == (code, seconds)
    assert [each["fault"] for each in healed.json["ended"]] == [fault]
    assert ask("GET", f"{MAPS}/a").json["data"]["k"] == value
    assert ask("PUT", f"{MAPS}/a", {"metadata": {"name": "a"}}).code == 200


def test_who_is_turned_away_is_told_when_to_come_back(ask):
    """In plain words, as by the filter before the API; probes and discovery are answered."""
    ask("POST", FAULTS, {"overloadApiServer": ALL})

    refused = ask("POST", MAPS, {"metadata": {"name": "a"}})

    assert (refused.code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.text == b"Too many requests, please try again later.\n"
    assert refused.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [code_of(ask, "GET", path) for path in ("/healthz", "/api/v1", "/version")] == [200, 200, 200]


def test_about_half_are_turned_away(ask):
    """A share is one."""
    ask("POST", FAULTS, {"overloadApiServer": {"by": "http", "share": 0.5}})

    codes = [code_of(ask, "GET", MAPS) for _ in range(60)]

    assert set(codes) == {200, 429}
    assert 15 < codes.count(429) < 45


@pytest.mark.parametrize(
    "path", ["/healthz", "/livez", "/readyz", "/version", "/api", "/apis/apps/v1", "/openapi/v3", "/none", MAPS]
)
def test_of_a_server_that_is_gone_nobody_hears(ask, path):
    """Whatever the path; but the simulation's own, by which it is healed."""
    ask("POST", FAULTS, {"stopApiServer": {}})

    assert code_of(ask, "GET", path) == "cut"
    assert ask("GET", "/kubesim/v1/time").code == 200
    assert ask("POST", FAULTS, {"startApiServer": {}}).code == 201
    assert code_of(ask, "GET", path) == (404 if path == "/none" else 200)


def test_it_ends_by_itself(served, ask):
    """A server that is gone for 30 virtual seconds answers again after them."""
    ask("POST", FAULTS, {"stopApiServer": {}, "for": "30s"})
    served.step(29)
    before = code_of(ask, "GET", MAPS)
    served.step(1)

    assert (before, code_of(ask, "GET", MAPS)) == ("cut", 200)


def test_only_those_over_http_are_met(served, ask):
    """With `by: http` the cluster's own go on as ever: a Pod comes to run while nobody can ask for it."""
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    ask("POST", f"{CORE}/pods", pod)
    ask("POST", FAULTS, {"overloadApiServer": ALL})
    served.step(30)
    meanwhile = code_of(ask, "GET", f"{CORE}/pods/p")
    phase = served.call(lambda cluster: cluster.find("pod/p", "default")["status"]["phase"])

    assert (meanwhile, phase) == (429, "Running")


def test_a_question_is_met_too(ask):
    """Whether somebody may do something is asked by a request like any other."""
    ask("POST", FAULTS, {"overloadApiServer": ALL})

    assert code_of(ask, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {}}) == 429


def test_a_slow_request_is_lost_with_the_server(served, ask):
    """What was on its way when the server went has not been done."""
    ask("POST", FAULTS, {"slowApiServer": {"by": "http", "added": "10s"}})
    served.call(lambda cluster: cluster.loop.timer(5_000_000_000, cluster.plane.stop_server))

    assert code_of(ask, "POST", MAPS, {"metadata": {"name": "a"}}) == "cut"
    assert served.call(lambda cluster: cluster.plane.store.get("configmaps", ("default", "a"))) is None


# --- watches ---


@pytest.mark.parametrize(
    ("fault", "argument", "events"),
    [
        ("dropWatches", {"by": "http"}, [None]),
        ("dropWatches", {}, [None]),
        ("dropWatches", {"by": "http", "of": "configmap"}, [None]),
        ("dropWatches", {"by": "http", "of": "secret"}, [("ADDED", "b")]),
        ("dropWatches", {"by": "kube-scheduler"}, [("ADDED", "b")]),
        ("expireWatches", {"by": "http"}, [("ERROR", 410), None]),
        ("stopApiServer", {}, ["cut"]),
        ("overloadApiServer", ALL, [("ADDED", "b")]),
        ("loseReplies", {"by": "http", "of": "pod"}, [("ADDED", "b")]),
        ("compactEtcd", {}, [("ADDED", "b")]),
    ],
)
def test_what_becomes_of_an_open_watch(served, ask, watch, fault, argument, events):
    """It ends, it ends with an error, it breaks, or it goes on."""
    reader = watch(f"{MAPS}?watch=1&resourceVersion={make(ask, 'a')}")
    ask("POST", FAULTS, {fault: argument})
    if fault != "stopApiServer":
        served.call(lambda cluster: cluster.create(config_map("b")))

    assert reader.events(len(events)) == events


def config_map(name):
    """An object as a user writes it."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


@pytest.mark.parametrize(
    ("fault", "argument", "seconds", "late", "healed"),
    [
        ("delayWatches", {"by": "http", "of": "configmap", "delay": "5s"}, 5, True, []),
        ("delayWatches", {"by": "http", "of": "configmap", "delay": "50s"}, 5, False, ["b", "c", "d"]),
        ("skipEvents", {"by": "http", "of": "configmap"}, 500, False, [410]),
        ("freezeReads", {"by": "http", "of": "configmap"}, 500, False, ["b", "c", "d"]),
    ],
    ids=["late", "too late", "skipped", "frozen"],
)
def test_events_that_are_held_back(served, ask, watch, fault, argument, seconds, late, healed):
    """None comes before its time; what is still held when it ends comes in its order, or is skipped with a 410."""
    since = make(ask, "a")
    reader, witness = watch(f"{MAPS}?watch=1&resourceVersion={since}"), watch(f"{SECRETS}?watch=1")
    ask("POST", FAULTS, {fault: argument})
    make(ask, "b")
    served.step(1)
    make(ask, "c")
    served.step(seconds - 2)
    # What is marked first goes out first: with the witness's event, any other would have come.
    make(ask, "w", SECRETS)
    before = (witness.event(), reader.has_come)
    served.step(1)
    first = reader.event() if late else None
    make(ask, "d")
    served.step(1)
    second = reader.event() if late else None
    make(ask, "x", SECRETS)
    then = (witness.event(), reader.has_come)
    ask("DELETE", FAULTS)

    assert (before, then) == ((("ADDED", "w"), False), (("ADDED", "x"), False))
    assert [first, second] == ([("ADDED", "b"), ("ADDED", "c")] if late else [None, None])
    expected = [("ADDED", "d")] if late else [("ERROR" if name == 410 else "ADDED", name) for name in healed]
    assert reader.events(len(expected)) == expected
    if healed == [410]:
        assert reader.event() is None


def test_when_one_of_two_troubles_is_over_the_other_holds_on(served, ask, watch):
    """Events that a frozen cache has kept are late by a slow server from then on."""
    reader, witness = watch(f"{MAPS}?watch=1&resourceVersion={make(ask, 'a')}"), watch(f"{SECRETS}?watch=1")
    ask("POST", FAULTS, {"delayWatches": {"by": "http", "of": "configmap", "delay": "5s"}})
    ask("POST", FAULTS, {"freezeReads": {"by": "http", "of": "configmap"}})
    make(ask, "b")
    served.step(60)
    ask("DELETE", f"{FAULTS}/2")
    served.step(4)
    make(ask, "w", SECRETS)
    before = (witness.event(), reader.has_come)
    served.step(1)

    assert before == (("ADDED", "w"), False)
    assert reader.event() == ("ADDED", "b")


def test_events_come_as_late_as_a_server_is_slow(served, ask, watch):
    """To each open watch; what a watch begins with is as late as any answer."""
    ask("POST", FAULTS, {"slowApiServer": {"by": "http", "added": "3s"}})
    start_ns = served.cluster.now_ns
    reader = watch(f"{MAPS}?watch=1")
    opened_ns = served.cluster.now_ns
    begun = reader.event()
    served.call(lambda cluster: cluster.create(config_map("b")))
    served.step(3)

    assert ((opened_ns - start_ns) / 1e9, begun, reader.event()) == (3, ("ADDED", "kube-root-ca.crt"), ("ADDED", "b"))


@pytest.mark.parametrize(
    ("fault", "argument", "code"),
    [
        ("stopApiServer", {}, "cut"),
        ("overloadApiServer", ALL, 429),
        ("delayWatches", {"by": "http"}, 200),
        ("conflictStorm", ALL, 200),
    ],
)
def test_a_watch_that_is_opened_meanwhile(ask, watch, fault, argument, code):
    """Is refused, or not."""
    ask("POST", FAULTS, {fault: argument})
    try:
        seen = watch(f"{MAPS}?watch=1").response.status
    except ConnectionError:
        seen = "cut"

    assert seen == code


def test_a_frozen_cache_answers_from_the_past(ask, watch):
    """Who takes any state gets the old one and watches on from there; who wants the newest gets that."""
    make(ask, "a")
    ask("POST", FAULTS, {"freezeReads": {"by": "http", "of": "configmap"}})
    make(ask, "b")
    ask("DELETE", f"{MAPS}/a")

    def names(query):
        return [each["metadata"]["name"] for each in ask("GET", f"{MAPS}{query}").json["items"]]

    newest = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    listed, present = names("?resourceVersion=0"), names("")
    as_table = ask("GET", f"{MAPS}?resourceVersion=0", Accept="application/json;as=Table;v=v1;g=meta.k8s.io").json
    old, new = watch(f"{MAPS}?watch=1&resourceVersion=0"), watch(f"{MAPS}?{newest}")
    begun = (old.events(2), new.events(2))
    got = code_of(ask, "GET", f"{MAPS}/a")
    ask("DELETE", FAULTS)
    make(ask, "c")

    assert (listed, present, got) == (["a", "kube-root-ca.crt"], ["b", "kube-root-ca.crt"], 404)
    assert [row["cells"][0] for row in as_table["rows"]] == listed
    assert begun == tuple([("ADDED", name) for name in names] for names in (listed, present))
    assert old.events(3) == [("ADDED", "b"), ("DELETED", "a"), ("ADDED", "c")]
    assert new.event() == ("ADDED", "c")


def test_who_watched_before_a_restart_must_list_anew(ask, watch):
    """A server that comes back knows nothing of the past: 410 for a revision from before the last write."""
    since = make(ask, "a")
    make(ask, "b")
    ask("POST", FAULTS, {"stopApiServer": {}})
    ask("DELETE", FAULTS)

    assert watch(f"{MAPS}?watch=1&resourceVersion={since}").events(2) == [("ERROR", 410), None]


def test_what_is_followed_breaks_with_the_server(served, ask, watch):
    """A log; and there is none to be opened."""
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", "echo hello; sleep 3600"]}
    ask("POST", f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    served.step(30)
    path = f"{CORE}/pods/p/log?follow=true"
    reader = watch(path)
    said = reader.line()
    ask("POST", FAULTS, {"stopApiServer": {}})

    assert (said, reader.line()) == (b"hello", "cut")
    assert code_of(ask, "GET", path) == "cut"


def test_who_is_attached_takes_the_shell_along(served, ask):
    """A shell that waits for somebody at its input ends with their connection, as with any other end of theirs."""
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    ask("POST", f"{CORE}/pods", pod)
    served.step(30)
    beside = {"spec": {"ephemeralContainers": [{"name": "e", "image": "busybox", "stdin": True}]}}
    ask("PATCH", f"{CORE}/pods/p/ephemeralcontainers", beside, **MERGE)
    served.step(30)

    async def attach():
        url = f"{served.url}{CORE}/pods/p/attach?container=e&stdin=1&stdout=1"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, protocols=("v5.channel.k8s.io",)) as attached,
        ):
            await asyncio.to_thread(served.inject, "stopApiServer")
            return (await attached.receive()).type

    ended = asyncio.run(attach())
    ask("DELETE", FAULTS)

    def state():
        served.step(1)
        return set(ask("GET", f"{CORE}/pods/p").json["status"]["ephemeralContainerStatuses"][0]["state"])

    assert ended is aiohttp.WSMsgType.CLOSED
    assert {"terminated"} in (state() for _ in range(60))
