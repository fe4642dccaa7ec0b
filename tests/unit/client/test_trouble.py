"""What a client does when something is wrong on its way: as client-go does it.

Expected numbers are upstream's: rest/{request.go,with_retry.go}, tools/cache/reflector.go, tools/record/event.go @v1.36
"""

from __future__ import annotations

import pytest

from kubesim.api.kinds import CONFIG_MAP
from kubesim.api.requests import get, list_all, patch
from kubesim.client.recorder import Recorder
from kubesim.client.trouble import (
    END_OF_STREAM,
    HELD,
    NO_ANSWER,
    REFUSED,
    RESET,
    CutOff,
    Down,
    LateWatches,
    LostReplies,
    Slow,
    StaleReads,
    Trouble,
    Verdict,
)
from kubesim.errors import ApiError, too_many_requests
from kubesim.sim.loop import MILLISECOND, SECOND

PATCH = patch(CONFIG_MAP, "n", "a", {"data": {"k": "2"}})
GET = get(CONFIG_MAP, "n", "a")


class Refusing(Trouble):
    """Answers the first requests with an error."""

    def __init__(self, error, number):
        self.error = error
        self.left = number
        self.asked = 0

    def judge(self, _request):
        self.asked += 1
        self.left -= 1
        return Verdict(refusal=self.error) if self.left >= 0 else None


def sent(world, request):
    """The replies to a request, with the milliseconds at which they came."""
    replies = []
    world.client.send(request, lambda reply: replies.append((world.loop.now_ns // MILLISECOND, reply)))
    return replies


@pytest.mark.parametrize(
    "request_, error, number, tries, milliseconds",
    [
        (GET, too_many_requests("x", 1), 3, 4, 3001),
        (PATCH, too_many_requests("x", 2), 3, 4, 6004),
        (GET, too_many_requests("x", 1), 99, 11, 10_001),
        (GET, too_many_requests("x"), 1, 1, 1),
        (GET, ApiError(503, "ServiceUnavailable", "x", retry_after_s=1), 1, 2, 1001),
        (GET, ApiError(409, "AlreadyExists", "x", retry_after_s=1), 1, 1, 1),
        (GET, RESET, 2, 3, 2001),
        (list_all(CONFIG_MAP), RESET, 2, 3, 2001),
        (PATCH, RESET, 1, 1, 4),
        (GET, REFUSED, 1, 1, 1),
    ],
    ids=[
        "429 with Retry-After",
        "of a write too",
        "ten times at most",
        "429 without",
        "503 with",
        "no other code",
        "a read whose connection broke",
        "a list",
        "never a write",
        "nobody listened",
    ],
)
def test_what_a_client_tries_again_by_itself(world, request_, error, number, tries, milliseconds):
    """What it is told to, and reads on a broken connection; its caller hears of the last try only."""
    world.make("a")
    trouble = Refusing(error, number)
    world.client.add_trouble(trouble)
    replies = sent(world, request_)
    world.run(60 * SECOND)

    assert trouble.asked == tries
    assert [at for at, _ in replies] == [milliseconds]
    assert (replies[0][1] is error) is (number >= tries)


@pytest.mark.parametrize(
    "trouble, milliseconds, reply, value",
    [
        (Slow(SECOND), 1004, "2", "2"),
        (Down(), 4, REFUSED, "1"),
        (CutOff(), 10_004, NO_ANSWER, "1"),
        (LostReplies(1, ()), 4, RESET, "2"),
        (LostReplies(1, ("pod",)), 4, "2", "2"),
        (LateWatches(SECOND, ()), 4, "2", "2"),
    ],
    ids=["slow", "down", "cut off", "reply lost", "of another kind", "watches only"],
)
def test_what_becomes_of_a_write(world, trouble, milliseconds, reply, value):
    """When its sender hears what, and whether it was done."""
    world.make("a")
    world.client.add_trouble(trouble)
    replies = sent(world, PATCH)
    world.run(20 * SECOND)
    at, heard = replies[0]

    assert at == milliseconds
    assert (heard if isinstance(heard, ApiError) else heard["data"]["k"]) == reply
    assert world.store.get("configmaps", ("n", "a"))["data"]["k"] == value


def test_events_that_are_late_never_overtake(world):
    """What was held back comes first when the trouble ends, whatever was still on its way."""
    informer, heard = world.informer()
    world.run()
    slow = LateWatches(5 * SECOND, ())
    world.client.add_trouble(slow)
    world.make("a", "1")
    world.run(SECOND)
    world.change("a", "2")
    world.run(SECOND)
    assert heard == []
    world.client.end_trouble(slow)
    world.change("a", "3")
    world.run(10 * SECOND)

    assert heard == [("add", "a"), ("update", "a", "1", "2"), ("update", "a", "2", "3")]
    assert informer.lister.get("n", "a")["data"] == {"k": "3"}


def test_events_come_late_in_their_order(world):
    """Each by the same span."""
    informer, heard = world.informer()
    world.run()
    world.client.add_trouble(LateWatches(2 * SECOND, ()))
    world.make("a")
    world.run(SECOND)
    world.make("b")
    world.run(1500 * MILLISECOND)
    assert heard == [("add", "a")]
    world.run(SECOND)

    assert heard == [("add", "a"), ("add", "b")]
    assert informer.synced


def test_what_one_trouble_has_held_another_makes_late(world):
    """When a cache that stood still goes on, its events are as late as those of a slow server."""
    _, heard = world.informer()
    world.run()
    world.client.add_trouble(LateWatches(2 * SECOND, ()))
    frozen = LateWatches(HELD, ())
    world.client.add_trouble(frozen)
    world.make("a")
    world.run(60 * SECOND)
    world.client.end_trouble(frozen)
    world.run(SECOND)
    assert heard == []
    world.run(SECOND)

    assert heard == [("add", "a")]


class Watching:
    """An informer whose requests are counted."""

    def __init__(self, world):
        self.lists = 0
        send = world.client.send

        def counted(request, on_reply):
            self.lists += request.verb == "list"
            send(request, on_reply)

        world.client.send = counted
        self.informer, self.heard = world.informer()
        world.run(5 * SECOND)


@pytest.mark.parametrize(
    "error, lists, waits_s",
    [(END_OF_STREAM, 1, 0), (REFUSED, 1, 0.8), (too_many_requests("x", 1), 1, 0.8), (NO_ANSWER, 2, 0.8)],
    ids=["ended", "refused", "429", "any other"],
)
def test_how_a_broken_watch_goes_on(world, error, lists, waits_s):
    """One that ended well goes on at once, and one that was turned away after a back-off; else all is listed anew."""
    watching = Watching(world)
    world.client.break_watches(error)
    world.make("a")
    world.run(int(waits_s * SECOND) + 2 * MILLISECOND)

    assert watching.lists == lists
    assert watching.heard == [("add", "a")]


def test_a_watch_that_ends_at_once_is_no_watch(world):
    """Two ends within a second: the second time the reader lists."""
    watching = Watching(world)
    world.client.break_watches(END_OF_STREAM)
    world.client.break_watches(END_OF_STREAM)
    world.run(2 * SECOND)

    assert watching.lists == 2


def test_while_nobody_listens_a_watch_is_opened_again_and_again(world):
    """After 0.8, 1.6, 3.2 … s, without a list; then it goes on where it was."""
    watching = Watching(world)
    down = Down()
    world.client.add_trouble(down)
    world.client.break_watches(END_OF_STREAM)
    world.run(4 * SECOND)
    world.make("a")
    world.client.end_trouble(down)
    world.run(4 * SECOND)

    assert watching.lists == 1
    assert watching.heard == [("add", "a")]


def test_who_lists_for_the_first_time_may_get_the_past(world):
    """Later lists are as new as what the reader has seen; held watches catch up in the end."""
    world.make("a", "1")
    past = {
        "metadata": {"resourceVersion": str(world.store.revision)},
        "items": [world.store.get("configmaps", ("n", "a"))],
    }
    stale = StaleReads(lambda _: past, ())
    world.client.add_trouble(stale)
    world.change("a", "2")
    informer, heard = world.informer()
    world.run(SECOND)
    seen = informer.lister.get("n", "a")["data"]["k"]
    world.client.end_trouble(stale)
    world.run(SECOND)

    assert seen == "1"
    assert heard == [("add", "a"), ("update", "a", "1", "2")]


def test_a_closed_client_is_silent(world):
    """What it had on its way is never done, and nothing reaches it."""
    world.make("a")
    _, heard = world.informer()
    world.run()
    replies = sent(world, PATCH)
    world.client.close()
    world.change("a", "9")
    world.run(SECOND)

    assert replies == []
    assert heard == [("add", "a")]
    assert HELD < 0


def test_events_wait_for_the_api_server(world):
    """One is tried again, first after a part of ten seconds, and those that come after it wait behind it."""
    recorder = Recorder(world.loop, world.client, "tester")
    subject = world.make("a")
    down = Down()
    world.client.add_trouble(down)
    for reason in ("First", "Second", "Third"):
        recorder.event(subject, "Normal", reason, "it happened")
        world.run(SECOND)
    world.run(10 * SECOND)
    before = [event["reason"] for event in world.store.table("events").objects.values()]
    world.client.end_trouble(down)
    world.run(10 * SECOND)
    after = [event["reason"] for event in world.store.table("events").objects.values()]

    assert before == []
    assert after == ["First", "Second", "Third"]


def test_an_event_is_given_up_after_twelve_tries(world):
    """Some two minutes; what waits behind it goes on."""
    recorder = Recorder(world.loop, world.client, "tester")
    subject = world.make("a")
    down = Down()
    world.client.add_trouble(down)
    recorder.event(subject, "Normal", "First", "it happened")
    world.run(106 * SECOND)
    recorder.event(subject, "Normal", "Second", "it happened")
    world.run(5 * SECOND)
    world.client.end_trouble(down)
    world.run(10 * SECOND)

    assert [event["reason"] for event in world.store.table("events").objects.values()] == ["Second"]
