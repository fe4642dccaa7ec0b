"""The revisioned log: order, history, compaction and the state as it was. Upstream's behaviour, not its mechanism."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.objects import Key
from kubesim.errors import ApiError
from kubesim.store import log
from kubesim.store.log import Store

MAPS = "configmaps"


def _obj(name, value=0, namespace="n"):
    return {"metadata": {"name": name, "namespace": namespace}, "value": value}


def _put(store, name, value=0, namespace="n", resource=MAPS):
    key = Key(namespace, name)
    return store.write(resource, key, _obj(name, value, namespace), store.get(resource, key))


def _remove(store, name, namespace="n"):
    key = Key(namespace, name)
    return store.delete(MAPS, key, store.get(MAPS, key))


def _watch(store, since=0, resource=MAPS, matches=None, index=None, namespace="", told=None, bookmarks=False):
    return store.watch(
        resource,
        namespace=namespace,
        matches=matches,
        index=index,
        since=since,
        notify=(lambda _: None) if told is None else told.append,
        bookmarks=bookmarks,
    )


def _seen(watch):
    return [(kind, obj["metadata"]["name"], obj.get("value")) for kind, obj in watch.drain()]


def test_one_counter_numbers_the_writes_of_all_resources():
    """A deletion takes a number too, and its object carries it."""
    store = Store()
    first, second = _put(store, "a"), _put(store, "b", resource="secrets")
    gone = _remove(store, "a")

    assert [obj["metadata"]["resourceVersion"] for obj in (first, second, gone)] == ["1", "2", "3"]
    assert store.revision == 3


def test_the_object_before_keeps_its_revision():
    """A write that shares its metadata with the object before leaves that one as it was."""
    store = Store()
    before = _put(store, "a")
    store.write(MAPS, Key("n", "a"), {**before, "data": {"k": "v"}}, before)

    assert before["metadata"]["resourceVersion"] == "1"
    assert store.get(MAPS, ("n", "a"))["metadata"]["resourceVersion"] == "2"


def test_keys_come_in_order_and_by_namespace():
    """The order is etcd's; a namespace's objects are told apart from the first look on."""
    store = Store()
    for namespace, name in (("b", "x"), ("a", "z"), ("a", "y")):
        _put(store, name, namespace=namespace)
    table = store.table(MAPS)
    assert table.sorted_keys() == [("a", "y"), ("a", "z"), ("b", "x")]
    _remove(store, "x", "b")

    assert table.sorted_keys() == [("a", "y"), ("a", "z")]
    assert list(table.in_namespace("a")) == [("a", "z"), ("a", "y")]
    assert list(table.in_namespace("b")) == []
    _put(store, "w", namespace="b")
    _remove(store, "y", "a")

    assert list(table.in_namespace("a")) == [("a", "z")]
    assert list(table.in_namespace("b")) == [("b", "w")]


class TestWatches:
    """What readers are told."""

    def test_it_replays_what_came_after_its_revision(self):
        """And then goes on live."""
        store = Store()
        for value in (1, 2, 3):
            _put(store, "a", value)
        watch = _watch(store, since=1)
        _remove(store, "a")

        assert _seen(watch) == [("MODIFIED", "a", 2), ("MODIFIED", "a", 3), ("DELETED", "a", 3)]

    def test_it_is_told_once_until_it_has_drained(self):
        """One notice for any number of events."""
        store, told = Store(), []
        watch = _watch(store, told=told)
        _put(store, "a")
        _put(store, "b")
        assert told == [watch]
        watch.drain()
        _put(store, "c")

        assert told == [watch, watch]

    @pytest.mark.parametrize(
        "before, after, expected",
        [
            (0, 1, [("ADDED", "a", 1)]),
            (1, 2, [("MODIFIED", "a", 2)]),
            (1, 0, [("DELETED", "a", 0)]),
            (0, 0, []),
        ],
        ids=["it begins to match", "it goes on matching", "it ceases to match", "it never matches"],
    )
    def test_a_selector_turns_changes_into_comings_and_goings(self, before, after, expected):
        """For a reader of positive values."""
        store = Store()
        _put(store, "a", before)
        watch = _watch(store, since=1, matches=lambda obj: obj["value"] > 0)
        _put(store, "a", after)

        assert _seen(watch) == expected

    @pytest.mark.parametrize("value, expected", [(1, [("DELETED", "a", 1)]), (0, [])])
    def test_a_deletion_is_seen_by_those_who_saw_the_object(self, value, expected):
        """Not by others."""
        store = Store()
        _put(store, "a", value)
        watch = _watch(store, since=1, matches=lambda obj: obj["value"] > 0)
        _remove(store, "a")

        assert _seen(watch) == expected

    def test_a_namespace_bounds_it(self):
        """Other namespaces' changes pass by."""
        store = Store()
        watch = _watch(store, namespace="n")
        _put(store, "a")
        _put(store, "b", namespace="m")

        assert _seen(watch) == [("ADDED", "a", 0)]

    def test_an_index_sends_a_change_to_the_readers_of_both_values(self):
        """A Pod that moves between nodes, as binding does from none to one."""
        store = Store()
        readers = {
            node: _watch(
                store,
                resource="pods",
                matches=lambda pod, node=node: pod["spec"].get("nodeName", "") == node,
                index=("spec.nodeName", node),
            )
            for node in ("", "x", "y")
        }
        pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {}}
        stored = store.write("pods", Key("n", "p"), pod, None)
        store.write("pods", Key("n", "p"), {**pod, "spec": {"nodeName": "x"}}, stored)

        seen = {node: [kind for kind, _ in watch.drain()] for node, watch in readers.items()}
        assert seen == {"": ["ADDED", "DELETED"], "x": ["ADDED"], "y": []}

    @pytest.mark.parametrize("index", [None, ("spec.nodeName", "x")], ids=["plain", "indexed"])
    def test_a_closed_watch_hears_no_more(self, index):
        """Closing again does no harm, and the store forgets the reader."""
        store = Store()
        watch = _watch(store, resource="pods", index=index)
        store.unwatch("pods", watch)
        store.unwatch("pods", watch)
        store.write("pods", Key("n", "p"), {"metadata": {"name": "p"}, "spec": {"nodeName": "x"}}, None)

        assert watch.drain() == []
        assert (store.table("pods").watches, store.table("pods").indexed_watches) == ([], {})

    def test_a_reader_can_have_objects_converted(self):
        """At the time that it drains."""
        store = Store()
        watch = _watch(store)
        watch.convert = lambda obj: {**obj, "value": "other"}
        _put(store, "a")

        assert _seen(watch) == [("ADDED", "a", "other")]


class TestCompaction:
    """What is forgotten, and who notices."""

    def test_a_watch_from_before_it_is_refused(self):
        """One from its very revision is not."""
        store = Store()
        for value in range(5):
            _put(store, "a", value)
        store.compact(3)
        with pytest.raises(ApiError) as error:
            _watch(store, since=2)
        assert (error.value.code, error.value.message) == (410, "too old resource version: 2 (3)")

        assert [value for _, _, value in _seen(_watch(store, since=3))] == [3, 4]

    def test_the_history_of_one_resource_is_bounded(self, monkeypatch):
        """What falls out at its end is as good as compacted; other resources keep theirs."""
        monkeypatch.setattr(log, "HISTORY_MAX", 3)
        store = Store()
        _put(store, "s", resource="secrets")
        for value in range(5):
            _put(store, "a", value)
        with pytest.raises(ApiError):
            _watch(store, since=2)

        assert len(_seen(_watch(store, since=3))) == 3
        assert len(_seen(_watch(store, resource="secrets"))) == 1

    def test_periodically_it_forgets_what_was_old_the_time_before(self):
        """Readers that asked for it get a bookmark each time, so that they are never far behind; others get none."""
        store = Store()
        watch = _watch(store, bookmarks=True)
        plain = _watch(store)
        _put(store, "a")
        store.compact_periodically()
        _put(store, "b")
        _watch(store, since=0)
        store.compact_periodically()

        assert [(kind, obj["metadata"]["resourceVersion"]) for kind, obj in watch.drain()] == [
            ("ADDED", "1"),
            ("BOOKMARK", "1"),
            ("ADDED", "2"),
            ("BOOKMARK", "2"),
        ]
        assert [kind for kind, _ in plain.drain()] == ["ADDED", "ADDED"]
        with pytest.raises(ApiError):
            _watch(store, since=0)
        assert len(_seen(_watch(store, since=1))) == 1

    def test_a_state_from_before_it_is_gone(self):
        """In the words of a list."""
        store = Store()
        for value in range(3):
            _put(store, "a", value)
        store.compact(2)
        with pytest.raises(ApiError) as error:
            store.objects_at(MAPS, 1)

        assert (error.value.code, error.value.message) == (
            410,
            "The resourceVersion for the provided list is too old.",
        )


_WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(_WRITES)
def test_every_past_state_can_be_had_and_replayed_to_the_present(writes):
    """objects_at(r) is what was there at r, and a watch from r brings a copy of it up to date."""
    store = Store()
    states = [{}]
    for value, (name, is_put) in enumerate(writes):
        if is_put or store.get(MAPS, ("n", name)) is None:
            _put(store, name, value)
        else:
            _remove(store, name)
        states.append(dict(store.table(MAPS).objects))
    for revision, state in enumerate(states):
        assert store.objects_at(MAPS, revision) == state
        copy = dict(state)
        for kind, obj in _watch(store, since=revision).drain():
            key = Key("n", obj["metadata"]["name"])
            if kind == "DELETED":
                del copy[key]
            else:
                copy[key] = obj
        assert copy == states[-1]


@pytest.mark.parametrize("resource", [MAPS, "secrets"])
def test_a_restored_store_has_no_past(resource):
    """Nor has a copy: what was deleted before is not known, so whoever has read before must list anew."""
    store = Store()
    _put(store, "a")
    _put(store, "gone", resource="secrets")
    store.delete("secrets", Key("n", "gone"), store.get("secrets", Key("n", "gone")))
    copy, restored = store.copy(), Store()
    restored.restore(store.revision, [(MAPS, Key("n", "a"), store.get(MAPS, Key("n", "a")))])

    for each in (copy, restored):
        assert list(each.table(MAPS).objects) == [("n", "a")]
        assert _seen(_watch(each, since=each.revision, resource=resource)) == []
        with pytest.raises(ApiError, match="too old resource version"):
            _watch(each, since=2, resource=resource)
