"""What many readers get is made once: lists, their packed form, events of many watches, equal parts of bodies."""

from __future__ import annotations

import gzip
import http.client
import json

import pytest

SPACE = "/api/v1/namespaces/shared"
MAPS = f"{SPACE}/configmaps"
MERGE = {"Content_Type": "application/merge-patch+json"}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
LONG = "x" * 10_000


@pytest.fixture(scope="module", autouse=True)
def long_maps(served):
    """Twenty ConfigMaps, 200 KB together, in a namespace of their own, which has one itself."""

    def make(cluster):
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shared"}})
        for number in range(20):
            metadata = {"name": f"m{number:02d}", "namespace": "shared", "labels": {"half": str(number % 2)}}
            cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": LONG}})

    served.call(make)
    served.step(5)


@pytest.fixture
def still(served):
    """Nothing is written but by the test."""
    served.pause()
    yield
    served.set_speed(1)


def open_watch(served, path, accept="application/json"):
    """A watch from now on."""
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=20)
    since = served.call(lambda cluster: cluster.store.revision)
    connection.request("GET", f"{path}watch=1&resourceVersion={since}", headers={"Accept": accept})
    return connection, connection.getresponse()


def revision(answer):
    """A list's revision."""
    return int(answer.json["metadata"]["resourceVersion"])


@pytest.mark.usefixtures("still")
def test_a_long_list_is_the_same_whole_packed_and_by_its_length(ask):
    """An answer of 200 KB comes in pieces, as gzip, and to HEAD as its length alone."""
    whole = ask("GET", MAPS)
    packed = [ask("GET", MAPS, Accept_Encoding="gzip") for _ in range(2)]
    head = ask("HEAD", MAPS)

    assert len(whole.json["items"]) == 21
    assert [gzip.decompress(each.text) for each in packed] == [whole.text] * 2
    assert (int(head.headers["Content-Length"]), head.text) == (len(whole.text), b"")


def test_a_list_that_is_kept_is_of_the_present(ask):
    """A write elsewhere moves its revision on, one to its kind its items; selectors and pages are lists of their own."""
    paths = [MAPS, f"{MAPS}?labelSelector=half%3D1", f"{MAPS}?limit=5"]
    before = [ask("GET", path) for path in paths]
    ask("POST", f"{SPACE}/secrets", {"metadata": {"name": "elsewhere"}})
    moved = [ask("GET", path) for path in paths]
    ask("PATCH", f"{MAPS}/m01", {"data": {"k": "short"}}, **MERGE)
    changed = [ask("GET", path) for path in paths]
    ask("PATCH", f"{MAPS}/m01", {"data": {"k": LONG}}, **MERGE)

    assert [len(each.json["items"]) for each in before] == [21, 10, 5]
    for first, second, third in zip(before, moved, changed, strict=True):
        assert revision(first) < revision(second) < revision(third)
        assert first.json["items"] == second.json["items"] != third.json["items"]
    tokens = [each[2].json["metadata"]["continue"] for each in (before, moved)]
    assert tokens[0] != tokens[1]


def test_watches_of_every_form_get_a_burst_each_in_its_own(served):
    """Readers side by side, plain, as tables, by selector, get what a burst of changes means to them, in order."""
    plain = [open_watch(served, f"{MAPS}?") for _ in range(3)]
    tables = [open_watch(served, f"{MAPS}?", TABLE) for _ in range(2)]
    late = open_watch(served, f"{MAPS}?labelSelector=late%3D1&")

    def change(cluster):
        for number in range(6):
            cluster.patch("configmap/m00", {"metadata": {"labels": {"late": str(number % 2)}}}, namespace="shared")

    served.call(change)
    found = [[json.loads(response.readline()) for _ in range(6)] for _, response in plain]
    shown = [[json.loads(response.readline()) for _ in range(6)] for _, response in tables]
    selected = [json.loads(late[1].readline())["type"] for _ in range(5)]
    for connection, _ in (*plain, *tables, late):
        connection.close()

    assert [event["object"]["metadata"]["labels"]["late"] for event in found[0]] == list("010101")
    assert found == [found[0]] * 3
    assert [[event["object"]["columnDefinitions"] is not None for event in each] for each in shown] == [
        [True, *[False] * 5]
    ] * 2
    assert selected == ["ADDED", "DELETED", "ADDED", "DELETED", "ADDED"]


def test_a_reader_that_was_away_gets_all_that_it_missed(served):
    """What does not fit a connection waits, and comes in order when its reader reads again."""
    connection, response = open_watch(served, f"{MAPS}?")

    def change(cluster):
        for number in range(1500):
            cluster.patch("configmap/m02", {"data": {"n": str(number)}}, namespace="shared")

    served.call(change)
    numbers = [json.loads(response.readline())["object"]["data"]["n"] for _ in range(1500)]
    connection.close()

    assert numbers == [str(number) for number in range(1500)]


def test_what_begins_a_watch_comes_in_order_and_whole(ask):
    """A watch of more than fits a connection at once begins with every object, then says so."""
    query = "watch=1&timeoutSeconds=2&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    events = ask.watch(f"/api/v1/configmaps?{query}")

    names = [event["object"]["metadata"].get("name") for event in events if event["type"] == "ADDED"]
    assert [name for name in names if name.startswith("m")] == [f"m{number:02d}" for number in range(20)]
    assert events[-1]["type"] == "BOOKMARK"


def test_equal_pods_are_one_another_s_equals_and_not_the_same(ask):
    """Pods of equal bodies are alike; what is then done to one is done to it alone."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx:1"}]}
    body = {"metadata": {"labels": {"app": "x"}}, "spec": spec}
    made = [ask("POST", f"{SPACE}/pods", {**body, "metadata": {**body["metadata"], "name": name}}) for name in "ab"]
    ask("PATCH", f"{SPACE}/pods/a", {"metadata": {"labels": {"app": "y"}}}, **MERGE)
    ask("PATCH", f"{SPACE}/pods/a", {"spec": {"activeDeadlineSeconds": 5}}, **MERGE)
    first, second = (ask("GET", f"{SPACE}/pods/{name}").json for name in "ab")

    assert [answer.code for answer in made] == [201, 201]
    assert (first["metadata"]["labels"], second["metadata"]["labels"]) == ({"app": "y"}, {"app": "x"})
    assert first["spec"]["activeDeadlineSeconds"] == 5
    assert second["spec"] == made[1].json["spec"]
    assert made[0].json["spec"]["containers"][0]["image"] == "nginx:1"
