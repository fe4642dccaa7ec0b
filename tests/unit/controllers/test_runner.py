"""The runner that drives all controllers: concurrency, replies, back-off, crashes.

Upstream: any k/k controller's processNextWorkItem; the generator form is ours.
"""

import pytest

from kubesim.api.kinds import CONFIG_MAP, NAMESPACE
from kubesim.api.requests import create, get, patch
from kubesim.apiserver.server import ApiServer, Identity
from kubesim.client.inprocess import InProcessClient, Latency
from kubesim.client.ratelimit import ItemBackoff
from kubesim.client.workqueue import WorkQueue
from kubesim.controllers.base import (
    NotYetError,
    Result,
    Runner,
    TerminalError,
    Wait,
    Worker,
    first_error,
    objects_among,
)
from kubesim.errors import ApiError
from kubesim.sim.chooser import Chooser
from kubesim.sim.loop import MILLISECOND, SECOND, Loop
from kubesim.store.log import Store

GET = get(CONFIG_MAP, "n", "a")
MISSING = get(CONFIG_MAP, "n", "none")


class RunnerWorld:
    """A worker over a real API server with one ConfigMap; `log` is what the reconciles note, with milliseconds."""

    def __init__(self):
        self.loop = Loop()
        self.server = ApiServer(self.loop, Store(), Chooser(1).stream("apiserver"))
        self.identity = Identity("controller", is_trusted=True)
        self.client = InProcessClient(self.loop, self.server, self.identity, Latency())
        self.queue = WorkQueue(self.loop, ItemBackoff(10 * MILLISECOND, SECOND))
        self.log = []
        self.errors = []
        for kind, metadata in ((NAMESPACE, {"name": "n"}), (CONFIG_MAP, {"name": "a", "namespace": "n"})):
            body = {"apiVersion": "v1", "kind": kind.kind, "metadata": metadata}
            self.server.handle(create(kind, body), self.identity)

    def note(self, *what):
        self.log.append((self.loop.now_ns // MILLISECOND, *what))

    def runner(self, reconcile, concurrency=1, retries=0):
        worker = Worker(self.queue, reconcile, concurrency, retries)
        return Runner(self.loop, self.client, worker, lambda key, error: self.errors.append((key, error)))

    def run(self, ns=SECOND):
        self.loop.run_until(self.loop.now_ns + ns)

    def map(self):
        return self.server.handle(GET, self.identity)


@pytest.fixture
def world():
    """A worker's world, without a runner yet."""
    return RunnerWorld()


def test_a_reconcile_is_sent_the_reply_to_what_it_yields(world):
    """Between the two the world moves on by the latency."""

    def reconcile(key):
        reply = yield GET
        world.note(key, reply["metadata"]["name"])

    world.runner(reconcile)
    world.queue.add("k")
    world.run()

    assert world.log == [(1, "k", "a")]
    assert world.queue.idle


def test_keys_that_waited_before_the_start_are_worked_on(world):
    """The queue may be older than the runner."""
    world.queue.add("k")

    def reconcile(key):
        world.note(key)
        yield GET

    world.runner(reconcile).start()
    world.run()

    assert world.log == [(0, "k")]


@pytest.mark.parametrize(
    "concurrency, log",
    [
        (1, [(0, "a"), (1, "b"), (2, "c")]),
        (2, [(0, "a"), (0, "b"), (1, "c")]),
    ],
)
def test_as_many_keys_are_in_work_as_there_are_workers(world, concurrency, log):
    """The next begins when one has ended."""

    def reconcile(key):
        world.note(key)
        yield GET

    world.runner(reconcile, concurrency)
    for key in "abc":
        world.queue.add(key)
    world.run()

    assert world.log == log


def test_one_key_is_never_worked_on_twice_at_once(world):
    """Added during its work it comes again afterwards, once."""

    def reconcile(key):
        world.note("begin")
        if len(world.log) == 1:
            world.queue.add(key)
            world.queue.add(key)
        yield GET
        world.note("end")

    world.runner(reconcile, 5)
    world.queue.add("k")
    world.run()

    assert [what for _, what in world.log] == ["begin", "end", "begin", "end"]


def test_a_tuple_of_requests_goes_out_together(world):
    """Replies come as a list in the order of the requests, failures as values; the last one to arrive counts."""

    def reconcile(_):
        replies = yield (patch(CONFIG_MAP, "n", "a", {"data": {"k": "1"}}), MISSING, GET)
        world.note([isinstance(reply, ApiError) for reply in replies])
        world.note(first_error(replies).code, len(objects_among(replies)))
        nothing = yield ()
        world.note(nothing)

    world.runner(reconcile)
    world.queue.add("k")
    world.run()

    assert world.log == [(4, [False, True, False]), (4, 404, 2), (4, [])]


def test_a_wait_is_a_pause_in_virtual_time(world):
    """The key stays in work meanwhile."""

    def reconcile(_):
        yield Wait(30 * MILLISECOND)
        world.note("on")

    world.runner(reconcile)
    world.queue.add("k")
    world.run(10 * MILLISECOND)
    assert not world.queue.idle
    world.run()

    assert world.log == [(30, "on")]


class TestErrors:
    """What becomes of a key whose reconcile fails."""

    def test_a_failure_is_raised_where_the_request_was_yielded(self, world):
        """The reconcile may go on from there."""

        def reconcile(_):
            try:
                yield MISSING
            except ApiError as error:
                world.note(error.code)
            yield GET
            world.note("done")

        world.runner(reconcile)
        world.queue.add("k")
        world.run()

        assert world.log == [(1, 404), (2, "done")]
        assert world.errors == []

    @pytest.mark.parametrize("step", ["api", "not yet"])
    def test_one_that_leaves_the_reconcile_brings_the_key_back_later_each_time(self, world, step):
        """10, 20, 40 ms after each failure; a success starts the back-off anew."""
        outcomes = iter([True, True, True, False, True, False])

        def reconcile(_):
            world.note("try")
            if next(outcomes):
                if step == "api":
                    yield MISSING
                raise NotYetError("behind")
            yield GET

        world.runner(reconcile)
        world.queue.add("k")
        world.run()
        world.queue.add("k")
        world.run()

        took = 1 if step == "api" else 0
        gaps = [later - earlier - took for (earlier, _), (later, _) in zip(world.log, world.log[1:], strict=False)]
        assert gaps[:3] == [10, 20, 40]
        assert gaps[4] == 10
        assert [key for key, _ in world.errors] == ["k"] * 4

    def test_a_terminal_error_is_told_and_never_tried_again(self, world):
        """Until something adds the key."""

        def reconcile(_):
            world.note("try")
            yield GET
            raise TerminalError("hopeless")

        world.runner(reconcile)
        world.queue.add("k")
        world.run(60 * SECOND)

        assert len(world.log) == 1
        assert [str(error) for _, error in world.errors] == ["hopeless"]
        assert world.queue.idle

    def test_a_worker_may_give_up_after_some_retries(self, world):
        """Two retries are three tries; added again the key starts anew."""

        def reconcile(_):
            world.note("try")
            yield MISSING

        world.runner(reconcile, retries=2)
        world.queue.add("k")
        world.run(60 * SECOND)
        assert len(world.log) == 3
        assert world.queue.failures("k") == 0
        world.queue.add("k")
        world.run(60 * SECOND)

        assert len(world.log) == 6

    def test_a_bug_is_nobody_s_to_swallow(self, world):
        """It comes out of the loop."""

        def reconcile(_):
            yield GET
            raise KeyError("typo")

        world.runner(reconcile)
        world.queue.add("k")
        with pytest.raises(KeyError):
            world.run()


@pytest.mark.parametrize(
    "result, again", [(Result(50 * MILLISECOND), [(0, "try"), (51, "try")]), (Result(), [(0, "try")])]
)
def test_a_result_may_ask_for_the_key_again(world, result, again):
    """After a time, with the failures forgotten."""
    results = iter([result, None])

    def reconcile(_):
        world.note("try")
        yield GET
        return next(results)

    world.runner(reconcile)
    world.queue.add("k")
    world.run()

    assert world.log == again
    assert world.queue.idle


class TestCrash:
    """The process dies between two writes."""

    @pytest.mark.parametrize(
        "at_ms, data, steps",
        [(2, {"first": "1"}, 1), (6, {"first": "1", "second": "1"}, 2), (20, {"first": "1", "second": "1"}, 3)],
        ids=["before the first reply", "between the writes", "after both"],
    )
    def test_what_was_sent_arrives_and_nothing_after_it_is_sent(self, world, at_ms, data, steps):
        """A request on its way is carried out; its reply is heard by nobody."""

        def reconcile(_):
            world.note("begin")
            yield patch(CONFIG_MAP, "n", "a", {"data": {"first": "1"}})
            world.note("first")
            yield patch(CONFIG_MAP, "n", "a", {"data": {"second": "1"}})
            world.note("second")

        runner = world.runner(reconcile)
        world.queue.add("k")
        world.run(at_ms * MILLISECOND)
        runner.stop()
        world.run()

        assert world.map()["data"] == data
        assert len(world.log) == steps

    def test_finally_runs_but_a_queue_that_is_fed_on_wakes_nobody(self, world):
        """A new process has a new queue."""

        def reconcile(_):
            try:
                yield GET
            finally:
                world.note("finally")

        runner = world.runner(reconcile)
        world.queue.add("k")
        world.run(0)
        runner.stop()
        world.queue.add("other")
        world.run()

        assert world.log == [(0, "finally")]
