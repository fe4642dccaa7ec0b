"""Informers: the copy follows the store, with delay, and comes back after breaks."""

from itertools import pairwise

from client_world import ClientWorld
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.api.kinds import CONFIG_MAP, SECRET
from kubesim.api.requests import Options
from kubesim.client.informer import Informer, InformerFactory, Lister
from kubesim.sim.loop import MILLISECOND, SECOND


def _copy(informer):
    return {name: obj["data"]["k"] for (_, name), obj in informer.lister.objects.items()}


def test_it_lists_and_then_hears_of_each_change(world):
    """Handlers get the old and the new object."""
    world.make("a")
    informer, heard = world.informer()
    assert not informer.synced
    world.run()
    world.make("b")
    world.change("a", "2")
    world.drop("b")
    world.run()

    assert informer.synced
    assert heard == [("add", "a"), ("add", "b"), ("update", "a", "1", "2"), ("delete", "b")]
    assert _copy(informer) == {"a": "2"}


def test_it_lags_behind_by_the_watch_s_latency(world):
    """A write that has been answered is not seen yet."""
    informer, _ = world.informer()
    world.run()
    world.make("a")
    world.run(MILLISECOND - 1)
    assert _copy(informer) == {}
    world.run(1)

    assert _copy(informer) == {"a": "1"}


def test_a_handler_that_comes_late_is_told_what_is_there(world):
    """As additions."""
    world.make("a")
    informer, _ = world.informer()
    world.run()
    late = []
    informer.add_handler(lambda obj: late.append(obj["metadata"]["name"]))

    assert late == ["a"]


def test_after_an_expired_watch_it_lists_again_and_tells_the_difference(world):
    """What came and went unseen is never heard of; what stayed the same is not repeated."""
    for name in "abc":
        world.make(name)
    informer, heard = world.informer()
    world.run()
    heard.clear()
    world.client.disconnect()
    world.change("b", "2")
    world.drop("c")
    world.make("d")
    world.make("e")
    world.drop("e")
    world.store.compact(world.store.revision)
    world.client.connect()
    world.run(2 * SECOND)

    assert heard == [("update", "b", "1", "2"), ("add", "d"), ("delete", "c")]
    assert _copy(informer) == {"a": "1", "b": "2", "d": "1"}


def test_it_backs_off_from_800_ms_and_forgets_that_when_all_is_well(world):
    """Lists while the server is away: after 0.8, 1.6, 3.2 … s, each failing by itself after ten."""
    sent = []
    send = world.client.send
    world.client.send = lambda request, on_reply: (sent.append(world.loop.now_ns / SECOND), send(request, on_reply))
    informer, _ = world.informer()
    world.run(SECOND)
    world.client.disconnect()
    world.client.connect()
    world.client.disconnect()
    world.run(40 * SECOND)
    world.client.connect()
    world.run(300 * SECOND)
    assert informer.synced
    before = world.loop.now_ns / SECOND
    world.client.disconnect()
    world.client.connect()
    world.run(SECOND)

    waits = [later - earlier for earlier, later in pairwise(sent[1:-1])]
    assert [round(wait, 3) for wait in waits] == [11.601, 13.201, 16.401]
    assert round(sent[1], 3) == 1.8
    assert round(sent[-1] - before, 3) == 0.8


def test_one_that_is_stopped_hears_nothing_and_asks_for_nothing(world):
    """Even when its watch breaks afterwards."""
    informer, heard = world.informer()
    world.run()
    informer.stop()
    world.make("a")
    world.client.disconnect()
    world.client.connect()
    world.run(60 * SECOND)

    assert heard == []
    assert world.loop.next_at_ns() is None or world.loop.next_at_ns() > 60 * SECOND


def test_options_narrow_the_copy(world):
    """An object that ceases to match is deleted from it."""
    world.make("a", labels={"l": "1"})
    world.make("b")
    informer, heard = world.informer(Options(label_selector="l=1"))
    world.run()
    assert _copy(informer) == {"a": "1"}
    world.server.store.write(
        "configmaps",
        world.store.table("configmaps").sorted_keys()[0],
        {**world.store.get("configmaps", ("n", "a")), "metadata": {"name": "a", "namespace": "n"}},
        world.store.get("configmaps", ("n", "a")),
    )
    world.run()

    assert heard == [("add", "a"), ("delete", "a")]


_STEPS = st.lists(
    st.tuples(st.sampled_from(["make", "change", "drop", "run", "break", "compact"]), st.sampled_from("ab")),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(_STEPS)
def test_whatever_happens_the_copy_becomes_the_store(steps):
    """And handlers have heard a history that leads there: add first, delete last, updates between."""
    world = ClientWorld()
    informer, heard = world.informer()
    for value, (step, name) in enumerate(steps):
        is_there = world.store.get("configmaps", ("n", name)) is not None
        if step == "make" and not is_there:
            world.make(name, str(value))
        elif step == "change" and is_there:
            world.change(name, str(value))
        elif step == "drop" and is_there:
            world.drop(name)
        elif step == "run":
            world.run()
        elif step == "break":
            world.client.disconnect()
            world.client.connect()
        elif step == "compact":
            world.store.compact(world.store.revision)
    world.run(300 * SECOND)

    stored = {key.name: obj["data"]["k"] for key, obj in world.store.table("configmaps").objects.items()}
    assert _copy(informer) == stored
    told = {}
    for event, name, *values in heard:
        assert (event == "add") is (name not in told)
        if event == "delete":
            del told[name]
        else:
            assert not values or told[name] in (None, values[0])
            told[name] = values[1] if values else None
    assert set(told) == set(stored)


def test_a_handler_that_reads_no_status_is_spared_the_updates_of_that_alone(world):
    """Whatever differs besides the status, be it a label or a deletion that has begun, is told to all."""
    informer = Informer(world.loop, world.client, CONFIG_MAP)
    heard = []
    for name, reads_status in (("all", True), ("spec", False)):
        informer.add_handler(
            on_update=lambda _old, new, name=name: heard.append((name, new["step"])), reads_status=reads_status
        )
    metadata, spec = {"name": "a", "uid": "1", "labels": {}}, {}
    changes = [
        {"metadata": metadata, "spec": spec, "status": {}},
        {"metadata": {**metadata, "resourceVersion": "2"}, "spec": spec, "status": {"phase": "Running"}},
        {"metadata": {**metadata, "labels": {"a": "b"}}, "spec": spec, "status": {}},
        {"metadata": {**metadata, "deletionTimestamp": "now"}, "spec": spec, "status": {}},
        {"metadata": {**metadata, "deletionTimestamp": "now"}, "spec": {}, "status": {}},
    ]
    for step, change in enumerate(changes):
        informer._store(("", "a"), {**change, "step": step})

    assert heard == [("all", 1)] + [(name, step) for step in (2, 3, 4) for name in ("all", "spec")]


class TestLister:
    """Reading the copy."""

    @staticmethod
    def _lister():
        lister = Lister()
        lister.add_index("by team", lambda obj: obj.get("teams", []))
        for name, space, teams in (("a", "x", ["red"]), ("b", "y", ["red", "blue"]), ("c", "x", [])):
            lister.put((space, name), {"name": name, "teams": teams})
        return lister

    def test_objects_come_in_the_order_of_their_coming(self):
        """All, or those of a namespace."""
        lister = self._lister()

        assert [obj["name"] for obj in lister.all()] == ["a", "b", "c"]
        assert [obj["name"] for obj in lister.in_namespace("x")] == ["a", "c"]
        assert lister.get("y", "b")["name"] == "b"
        assert lister.get("x", "b") is None

    def test_an_index_follows_puts_and_removals(self):
        """Values that nobody has any more are gone."""
        lister = self._lister()
        lister.put(("x", "a"), {"name": "a", "teams": ["blue"]})
        assert [obj["name"] for obj in lister.by_index("by team", "red")] == ["b"]
        assert [obj["name"] for obj in lister.by_index("by team", "blue")] == ["b", "a"]
        lister.remove(("y", "b"))

        assert lister.by_index("by team", "red") == []
        assert list(lister.index_keys("by team", "blue")) == [("x", "a")]
        assert lister.remove(("y", "b")) is None

    def test_an_index_that_comes_late_has_what_is_there(self):
        """A second of the same name changes nothing."""
        lister = self._lister()
        lister.add_index("by name", lambda obj: [obj["name"]])
        lister.add_index("by name", lambda _: [])

        assert [obj["name"] for obj in lister.by_index("by name", "c")] == ["c"]


def test_a_factory_makes_one_informer_a_kind_and_one_view_a_maker(world):
    """Shared by all who ask."""
    factory = InformerFactory(world.loop, world.client)
    views = []

    def make(of):
        views.append(of)
        return object()

    assert factory.informer(CONFIG_MAP) is factory.informer(CONFIG_MAP)
    assert factory.lister(SECRET) is factory.informer(SECRET).lister
    assert factory.view(make) is factory.view(make)
    assert views == [factory]
    factory.start()
    assert not factory.synced
    world.run()

    assert factory.synced
    factory.stop()
