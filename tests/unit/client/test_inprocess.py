"""The in-process client: latencies, limits, disconnection."""

import pytest

from kubesim.api.kinds import CONFIG_MAP
from kubesim.api.requests import Options, get, list_all, patch
from kubesim.client.inprocess import Latency
from kubesim.client.ratelimit import TokenBucket
from kubesim.errors import ApiError
from kubesim.sim.loop import MILLISECOND, SECOND

PATCH = patch(CONFIG_MAP, "n", "a", {"data": {"k": "2"}})
GET = get(CONFIG_MAP, "n", "a")


@pytest.fixture
def replies(world):
    """Send a request, and find (milliseconds, reply) in the list."""
    world.make("a")
    found = []

    def send(request, client=None):
        (client or world.client).send(request, lambda reply: found.append((world.loop.now_ns // MILLISECOND, reply)))
        return found

    return send


def test_a_reply_comes_after_its_kind_of_request_has_taken_its_time(world, replies):
    """Reads are quicker than writes and overtake them: what was sent second is seen first."""
    replies(PATCH)
    found = replies(GET)
    world.run()

    assert [(at, reply["data"]["k"]) for at, reply in found] == [(1, "1"), (4, "2")]


def test_requests_of_one_kind_keep_their_order(world, replies):
    """Those of one instant included."""
    for value in "345":
        found = replies(patch(CONFIG_MAP, "n", "a", {"data": {"k": value}}))
    world.run()

    assert [reply["data"]["k"] for _, reply in found] == list("345")


def test_an_error_is_a_reply_too(world, replies):
    """It is not raised at the sender."""
    found = replies(get(CONFIG_MAP, "n", "none"))
    world.run()

    assert isinstance(found[0][1], ApiError)
    assert found[0][1].code == 404


def test_the_client_s_own_limit_comes_before_the_way(world, replies):
    """One a second with a burst of one."""
    client = world.new_client(limit=TokenBucket(1, 1))
    for _ in range(3):
        found = replies(GET, client)
    world.run(5 * SECOND)

    assert [at for at, _ in found] == [1, 1001, 2001]


def test_the_latency_is_the_client_s(world, replies):
    """A node far away."""
    found = replies(GET, world.new_client(Latency(read_ns=70 * MILLISECOND)))
    world.run()

    assert found[0][0] == 70


class TestDisconnection:
    """The way to the API server is cut."""

    def test_requests_fail_after_ten_seconds_and_change_nothing(self, world, replies):
        """Also one that was on its way."""
        found = replies(PATCH)
        world.client.disconnect()
        world.run(20 * SECOND)

        at, reply = found[0]
        assert (at, reply.code, reply.reason) == (10_004, 504, "Timeout")
        assert world.store.get("configmaps", ("n", "a"))["data"] == {"k": "1"}

    def test_a_watch_is_silent_until_it_breaks(self, world):
        """Its reader learns of that when the way is there again."""
        events = []
        world.client.watch(CONFIG_MAP, str(world.store.revision), events.extend)
        world.client.disconnect()
        world.make("b")
        world.run(SECOND)
        assert (events, world.client.is_connected) == ([], False)
        world.client.connect()

        assert [(kind, obj["code"]) for kind, obj in events] == [("ERROR", 504)]
        world.make("c")
        world.run()
        assert len(events) == 1


class TestWatches:
    """Events on their way."""

    def test_they_come_in_one_batch_a_latency_after_the_first(self, world):
        """And the next batch after the next write."""
        batches = []
        revision = str(world.store.revision)
        world.client.watch(CONFIG_MAP, revision, lambda events: batches.append((world.loop.now_ns, len(events))))
        world.make("a")
        world.make("b")
        world.run()
        world.make("c")
        world.run()

        assert batches == [(MILLISECOND, 2), (101 * MILLISECOND, 1)]

    def test_one_that_was_stopped_says_nothing_more(self, world):
        """Not even of what was on its way, nor that it could not be opened."""
        events = []
        watch = world.client.watch(CONFIG_MAP, str(world.store.revision), events.extend)
        world.make("a")
        watch.stop()
        world.store.compact(world.store.revision)
        refused = world.client.watch(CONFIG_MAP, "0", events.extend)
        refused.stop()
        world.run()

        assert events == []

    def test_too_old_a_revision_is_an_error_event(self, world):
        """As the API server answers it: with success, and then this."""
        world.make("a")
        world.store.compact(world.store.revision)
        events = []
        world.client.watch(CONFIG_MAP, "0", events.extend)
        world.run()

        assert [(kind, obj["code"], obj["reason"]) for kind, obj in events] == [("ERROR", 410, "Expired")]

    def test_options_select(self, world):
        """As those of a list do."""
        events = []
        options = Options(field_selector="metadata.name=b")
        world.client.watch(CONFIG_MAP, str(world.store.revision), events.extend, options)
        world.make("a")
        world.make("b")
        world.run()

        assert [obj["metadata"]["name"] for _, obj in events] == ["b"]
        assert list_all(CONFIG_MAP, options=options).options is options
