"""Malformed requests and connections that stall: never a failure of the server, never a request that is not answered.

With `KUBESIM_FUZZ=10000` it is so many requests, and 1,000 connections; `-o junit_family=xunit1 --junitxml=FILE` notes what
they cost in memory.
"""

from __future__ import annotations

import gc
import json
import os
import random
import socket
from pathlib import Path

import pytest
from aiohttp.web_protocol import RequestHandler
from http_asking import Asking

from kubesim.http.served import ServedCluster

REQUESTS = int(os.environ.get("KUBESIM_FUZZ", "600"))
STALLED = 1000 if REQUESTS >= 10_000 else 200
WARMED_UP = 500
# What requests may leave behind: the objects that they have made, their history and Events, and caches that have an end.
KEPT_MAX_MB = 20
PARTS = ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "configmaps", "deployments", "a", "status", "scale",
         "eviction", "binding", "log", "exec", "proxy", "watch", "nodes", "%2e%2e", "%ff", "ü", "", ".", "kubesim", "time",
         "step", "openapi", "v3", "healthz", "events.k8s.io", "events", "token", "finalize"]  # fmt: skip
QUERIES = ["watch=1&timeoutSeconds=1", "limit=-1", "limit=99999999999999999999", "continue=x", "resourceVersion=-1", "dryRun=All",
           "dryRun=x", "labelSelector=a=(", "fieldSelector=x", "fieldValidation=Strict", "fieldManager=" + "x" * 200, "force=1",
           "propagationPolicy=x", "gracePeriodSeconds=x", "gracePeriodSeconds=-5", "sinceSeconds=0", "=&&=", "%zz=%zz",
           "resourceVersionMatch=Exact", "sendInitialEvents=1", "command=a&stdout=1"]  # fmt: skip
TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", "", "x/y;z",
         "application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json",
         "application/apply-patch+yaml"]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO"]
SCRAPS = [None, True, 0, -1, 1.5, 1e308, "", "x", "a/b", "ü\u0000", [], {}, [None], [[]], {"": None}, 2**70]
FIELDS = ["apiVersion", "kind", "metadata", "spec", "status", "name", "namespace", "labels", "annotations", "replicas",
          "containers", "template", "selector", "op", "path", "value", "$patch", "finalizers", "ownerReferences", "data",
          "deleteOptions", "target", "uid", "generateName", "managedFields", "preconditions", "resourceVersion"]  # fmt: skip


def value(chance, depth=0):
    """Any JSON, with fields that objects have."""
    if depth > 4 or chance.random() < 0.4:
        return chance.choice(SCRAPS)
    if chance.random() < 0.2:
        return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice(FIELDS): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def bodies(chance):
    """Any body: none, JSON, what is nearly JSON, bytes."""
    kind = chance.randrange(5)
    if kind == 0:
        return None
    text = json.dumps(value(chance)).encode()
    if kind == 1:
        return text[: chance.randrange(len(text) + 1)]
    if kind == 2:
        return b"k8s\x00" + chance.randbytes(chance.randrange(60))
    if kind == 3:
        return b"[" * chance.randrange(3000)
    return text


def resident_mb():
    """What this process holds of memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
def test_no_request_is_a_failure_of_the_server(record_property):
    """Whatever is asked, the answer is no 500 but for those that upstream gives, and the server goes on."""
    chance = random.Random(7)
    failed = []
    with ServedCluster(nodes=1, speed=1, insecure_http=True) as served:
        ask = Asking(served)
        served.step(5)
        for name in ("a", "b"):
            ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": name}})
        for number in range(REQUESTS):
            if number == WARMED_UP:
                warm_mb = resident_mb()
            path = "/" + "/".join(chance.choice(PARTS) for _ in range(chance.randrange(8)))
            if chance.random() < 0.6:
                place = chance.choice(["configmaps", "pods", "services", "secrets"])
                path = f"/api/v1/namespaces/default/{place}" + chance.choice(["", "/a", "/a/status", "/nope"])
            if chance.random() < 0.5:
                path += "?" + "&".join(chance.choice(QUERIES) for _ in range(chance.randrange(1, 3)))
            path = path.encode("ascii", "ignore").decode()
            method, body = chance.choice(METHODS), bodies(chance)
            answer = ask(method, path, body, Content_Type=chance.choice(TYPES))
            if answer.code == 500 and "Internal error occurred" in answer.text.decode():
                failed.append((method, path, body, answer.text))
        healthy = ask("GET", "/healthz").text
        kept_mb = resident_mb() - warm_mb
        connections_kept = sum(isinstance(each, RequestHandler) for each in gc.get_objects())
    record_property("kept_mb", round(kept_mb, 1))

    assert failed == []
    assert healthy == b"ok"
    assert kept_mb < KEPT_MAX_MB
    assert connections_kept < REQUESTS / 20


@pytest.mark.slow
def test_connections_that_stall_are_no_burden(record_property):
    """Hundreds of half-open connections and readers that do not read keep nobody from being answered."""
    with ServedCluster(nodes=1, speed=1, insecure_http=True) as served:
        ask = Asking(served)
        host, port = served.url.removeprefix("http://").split(":")
        before_mb = resident_mb()
        stalled = [socket.create_connection((host, int(port))) for _ in range(STALLED)]
        for index, each in enumerate(stalled):
            words = [b"", b"GET /api/v1/pods HT", b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"]
            each.sendall(words[index % 3])
        answers = {ask("GET", "/api/v1/nodes").code for _ in range(20)}
        for number in range(20):
            spec = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx:1"}]}
            ask("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": f"p{number}"}, "spec": spec})
        kept_mb = resident_mb() - before_mb
        for each in stalled:
            each.close()
    record_property("kept_mb", round(kept_mb, 1))

    assert answers == {200}
    assert kept_mb < KEPT_MAX_MB + STALLED * 0.1
