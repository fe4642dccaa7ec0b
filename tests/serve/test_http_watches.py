"""Watches over HTTP, as recorded on a real 1.36 API server."""

from __future__ import annotations

import http.client
import json

import pytest

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
MAPS = "/api/v1/namespaces/default/configmaps"
INITIAL_END = {"k8s.io/initial-events-end": "true"}


def test_a_watch_without_a_revision_begins_with_what_is_there(ask):
    """Each object comes as ADDED, with its kind."""
    events = ask.watch(f"{ACCOUNTS}?watch=1&timeoutSeconds=1")

    assert [(event["type"], event["object"]["kind"]) for event in events] == [("ADDED", "ServiceAccount")]


@pytest.mark.parametrize(
    "query",
    ["sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", "allowWatchBookmarks=1"],
)
def test_bookmarks_end_what_is_there(ask, query):
    """Who wants bookmarks learns when all that is there has come."""
    events = ask.watch(f"{ACCOUNTS}?watch=1&timeoutSeconds=1&{query}")

    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    mark = events[1]["object"]
    assert (mark["kind"], mark["apiVersion"]) == ("ServiceAccount", "v1")
    assert mark["metadata"]["annotations"] == INITIAL_END
    assert int(mark["metadata"]["resourceVersion"]) >= int(events[0]["object"]["metadata"]["resourceVersion"])


def test_a_watch_goes_on_from_a_revision(ask, config_map):
    """What happened after a revision comes in order, whatever is there now."""
    since = config_map["metadata"]["resourceVersion"]
    merge = {"Content_Type": "application/merge-patch+json"}
    ask("PATCH", f"{MAPS}/a", {"data": {"k": "2"}}, **merge)
    ask("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"x": "y"}}}, **merge)
    ask("DELETE", f"{MAPS}/a")

    events = ask.watch(f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1")
    labelled = ask.watch(f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1&labelSelector=x%3Dy")

    assert [event["type"] for event in events] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert [event["type"] for event in labelled] == ["ADDED", "DELETED"]


def test_a_watch_from_a_forgotten_revision_says_so(served, ask):
    """The answer is 200, and its one event a 410."""
    ask("POST", MAPS, {"metadata": {"name": "forgotten"}})
    served.call(lambda cluster: cluster.store.compact(cluster.store.revision))

    events = ask.watch(f"{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=1")

    assert [(event["type"], event["object"]["code"], event["object"]["reason"]) for event in events] == [
        ("ERROR", 410, "Expired")
    ]
    assert events[0]["object"]["message"].startswith("too old resource version: 1 (")


def test_a_watch_as_tables_has_columns_once(ask):
    """Each event is a Table of one row; only the first has the columns."""
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"

    events = ask.watch("/api/v1/namespaces?watch=1&timeoutSeconds=1", Accept=table)

    assert len(events) >= 4
    assert {event["object"]["kind"] for event in events} == {"Table"}
    has_columns = [event["object"]["columnDefinitions"] is not None for event in events]
    assert has_columns == [True] + [False] * (len(events) - 1)


def test_a_change_reaches_an_open_watch(served, ask):
    """An open watch gets what happens while it is open, and ends when the server does."""
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    connection.request("GET", f"{MAPS}?watch=1&resourceVersion={served.call(lambda c: c.store.revision)}")
    response = connection.getresponse()

    ask("POST", MAPS, {"metadata": {"name": "seen"}})
    event = json.loads(response.readline())
    connection.close()

    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "seen")
