"""Lists, pages, revisions and watches, and Events in both groups.

Expected values: i-api-errors and i2-expired of Kubernetes 1.36.3.
"""

import pytest
from api_world import token

from kubesim.api.kinds import CONFIG_MAP, EVENTS_K8S_IO_EVENT, POD
from kubesim.api.requests import NO_OPTIONS, Options
from kubesim.errors import ApiError
from kubesim.sim.loop import HOUR, MINUTE

MAPS = "/api/v1/namespaces/default/configmaps"
EVENT = {
    "metadata": {"name": "e"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
    "reason": "Scheduled",
    "action": "Binding",
    "note": "assigned",
    "type": "Normal",
    "reportingController": "default-scheduler",
    "reportingInstance": "host",
}


def _names(answer):
    return [item["metadata"]["name"] for item in answer["items"]]


@pytest.fixture
def maps(world):
    """ConfigMaps a to e, the vowels labelled."""
    for name in "ebdac":
        labels = {"labels": {"vowel": "yes"}} if name in "ae" else {}
        world.make("ConfigMap", name, metadata=labels)
    return world


class TestLists:
    """GET of a collection."""

    def test_it_is_in_the_order_of_keys(self, maps):
        """As etcd keeps them, whatever came first."""
        _, answer = maps.ask("GET", MAPS)

        assert (answer["kind"], answer["apiVersion"], _names(answer)) == ("ConfigMapList", "v1", list("abcde"))
        assert answer["metadata"] == {"resourceVersion": str(maps.store.revision)}

    def test_namespaces_are_one_after_the_other(self, maps):
        """The namespace is the first part of the key."""
        maps.namespace("abc")
        maps.make("ConfigMap", "z", "abc")

        assert _names(maps.ask("GET", "/api/v1/configmaps")[1]) == ["z", *"abcde"]

    def test_pages_show_the_state_of_the_first(self, maps):
        """What comes and goes meanwhile is not seen; the count of what is left is told."""
        _, first = maps.ask("GET", MAPS + "?limit=2")
        maps.make("ConfigMap", "bb")
        maps.ask("DELETE", MAPS + "/d")
        path = f"{MAPS}?limit=2&continue="
        _, second = maps.ask("GET", path + first["metadata"]["continue"])
        _, third = maps.ask("GET", path + second["metadata"]["continue"])

        assert [_names(page) for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
        assert [page["metadata"].get("remainingItemCount") for page in (first, second, third)] == [3, 1, None]
        assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
            first["metadata"]["resourceVersion"]
        }
        assert "continue" not in third["metadata"]

    def test_a_token_says_where_to_go_on_within_the_namespace(self, maps):
        """The very text of upstream's."""
        _, page = maps.ask("GET", MAPS + "?limit=1")
        _, of_all = maps.ask("GET", "/api/v1/configmaps?limit=1")

        assert page["metadata"]["continue"] == token(maps.store.revision, "/a\0")
        assert of_all["metadata"]["continue"] == token(maps.store.revision, "/default/a\0")

    def test_pages_under_a_selector_do_not_count_what_is_left(self, maps):
        """Nobody has looked yet."""
        _, page = maps.ask("GET", MAPS + "?limit=1&labelSelector=vowel%3Dyes")
        _, last = maps.ask("GET", f"{MAPS}?limit=1&labelSelector=vowel&continue={page['metadata']['continue']}")

        assert (_names(page), _names(last)) == (["a"], ["e"])
        assert "remainingItemCount" not in page["metadata"]
        assert "continue" not in last["metadata"]

    def test_a_forgotten_page_offers_to_go_on_with_what_is_now(self, maps):
        """410 with a token of revision -1, which works."""
        _, first = maps.ask("GET", MAPS + "?limit=2")
        maps.make("ConfigMap", "cc")
        maps.store.compact(maps.store.revision)
        code, answer = maps.ask("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}")

        assert (code, answer["reason"]) == (410, "Expired")
        assert answer["message"].startswith("The provided continue parameter is too old to display a consistent list")
        assert answer["metadata"]["continue"] == token(-1, "/b\0")
        _, resumed = maps.ask("GET", f"{MAPS}?limit=2&continue={answer['metadata']['continue']}")
        assert _names(resumed) == ["c", "cc"]

    @pytest.mark.parametrize(
        "query, names",
        [
            ("resourceVersionMatch=Exact", list("abde")),
            ("resourceVersionMatch=NotOlderThan", list("abcde")),
            ("", list("abcde")),
            ("limit=10", list("abde")),
        ],
        ids=["exact", "not older", "no rule", "pages are exact"],
    )
    def test_a_revision_means_what_the_match_rule_says(self, maps, query, names):
        """Before the last create, or whatever is newest."""
        before = maps.store.revision - 1
        code, answer = maps.ask("GET", f"{MAPS}?resourceVersion={before}&{query}")

        assert (code, _names(answer)) == (200, names)

    def test_an_exact_revision_that_is_forgotten_is_gone(self, maps):
        """410."""
        maps.store.compact(maps.store.revision - 1)
        code, answer = maps.ask("GET", f"{MAPS}?resourceVersion=5&resourceVersionMatch=Exact")

        assert (code, answer["message"]) == (410, "The resourceVersion for the provided list is too old.")

    def test_a_get_needs_a_number_too(self, maps):
        """500 without a reason, as upstream."""
        code, answer = maps.ask("GET", MAPS + "/a?resourceVersion=abc")

        assert (code, "reason" in answer) == (500, False)
        assert (
            answer["message"]
            == 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
        )

    def test_garbage_is_no_token(self, maps):
        """Told in Go's words as far as they go."""
        code, answer = maps.ask("GET", MAPS + "?limit=1&continue=!")

        assert (code, answer["reason"]) == (400, "BadRequest")
        assert answer["message"].startswith("invalid continue token: continue key is not valid: ")


class TestWatches:
    """The server's side of a watch."""

    def test_it_begins_after_its_revision(self, maps):
        """What happened since is replayed, in order."""
        watch = maps.server.watch(CONFIG_MAP, maps.store.revision - 2, NO_OPTIONS, lambda _: None)

        assert [(kind, obj["metadata"]["name"]) for kind, obj in watch.drain()] == [("ADDED", "a"), ("ADDED", "c")]

    def test_pods_of_one_node_come_and_go_with_the_binding(self, world):
        """The field selector makes of a MODIFIED an ADDED."""
        options = Options(field_selector="spec.nodeName=n")
        watch = world.server.watch(POD, world.store.revision, options, lambda _: None)
        for name, node in (("p", "n"), ("q", "m")):
            world.pod(name)
            body = {"metadata": {"name": name}, "target": {"name": node}}
            world.ask("POST", f"/api/v1/namespaces/default/pods/{name}/binding", body)

        assert [(kind, obj["metadata"]["name"]) for kind, obj in watch.drain()] == [("ADDED", "p")]

    def test_too_old_a_revision_is_refused(self, maps):
        """With the revision from which on the log is whole."""
        maps.store.compact(maps.store.revision)
        with pytest.raises(ApiError) as error:
            maps.server.watch(CONFIG_MAP, 5, NO_OPTIONS, lambda _: None)

        assert (error.value.code, error.value.reason) == (410, "Expired")
        assert error.value.message == f"too old resource version: 5 ({maps.store.revision})"


class TestEvents:
    """Events are one kind under two names. Upstream: pkg/apis/events/v1/conversion.go"""

    CORE = "/api/v1/namespaces/default/events"
    NEW = "/apis/events.k8s.io/v1/namespaces/default/events"

    def test_what_one_group_writes_the_other_reads_under_its_own_names(self, world):
        """There is one object, with one uid."""
        code, new = world.ask("POST", self.NEW, EVENT)
        _, core = world.ask("GET", self.CORE + "/e")

        assert code == 200, new
        assert new["apiVersion"] == "events.k8s.io/v1"
        assert core["apiVersion"] == "v1"
        assert core["metadata"] == new["metadata"]
        assert core["involvedObject"] == new["regarding"] == EVENT["regarding"]
        assert (core["message"], core["reportingComponent"]) == ("assigned", "default-scheduler")
        assert "note" not in core
        assert world.ask("GET", self.NEW + "/e") == (200, new)

    def test_lists_selectors_and_watches_speak_the_reader_s_names(self, world):
        """And select by them."""
        watch = world.server.watch(EVENTS_K8S_IO_EVENT, world.store.revision, NO_OPTIONS, lambda _: None)
        body = {"metadata": {"name": "c"}, "involvedObject": {"namespace": "default", "name": "q"}, "message": "m"}
        world.ask("POST", self.CORE, body)
        world.ask("POST", self.NEW, EVENT)
        _, found = world.ask("GET", self.NEW + "?fieldSelector=regarding.name%3Dq")

        assert found["kind"] == "EventList"
        assert [(item["apiVersion"], item["note"]) for item in found["items"]] == [("events.k8s.io/v1", "m")]
        assert [(kind, obj["note"]) for kind, obj in watch.drain()] == [("ADDED", "m"), ("ADDED", "assigned")]

    def test_the_new_group_is_strict_and_names_itself(self, world):
        """An update may change little but the series."""
        world.ask("POST", self.NEW, EVENT)
        assert world.ask("POST", self.NEW, EVENT)[1]["message"] == 'events.events.k8s.io "e" already exists'
        code, answer = world.ask("PATCH", self.NEW + "/e", {"note": "other"})
        assert code == 422
        assert answer["message"] == 'Event "e" is invalid: message: Invalid value: "other": field is immutable'
        series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
        code, answer = world.ask("PATCH", self.NEW + "/e", {"series": series})
        assert (code, answer["series"]) == (200, series)
        assert world.ask("DELETE", self.NEW + "/e")[0] == 200
        assert world.ask("GET", self.CORE + "/e")[0] == 404

    def test_they_live_for_an_hour_after_their_last_write(self, world):
        """etcd's lease ends in batches, so one minute more is allowed for."""
        world.ask("POST", self.NEW, EVENT)
        world.loop.run_until(HOUR // 2)
        world.ask("PATCH", self.CORE + "/e", {"count": 2})
        world.loop.run_until(HOUR + MINUTE)
        assert world.ask("GET", self.CORE + "/e")[0] == 200
        world.loop.run_until(HOUR + HOUR // 2 + MINUTE)

        assert world.ask("GET", self.CORE + "/e")[0] == 404
