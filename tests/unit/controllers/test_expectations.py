"""A controller does not act on a cache that lacks what it did itself. Upstream: controller_utils_test.go @v1.36."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import POD, REPLICA_SET
from kubesim.api.objects import Key
from kubesim.controllers.base import NotYetError
from kubesim.controllers.consistency import WrittenRevisions
from kubesim.controllers.expectations import TIMEOUT_NS, Expectations
from kubesim.sim.loop import MINUTE, Loop

KEY = Key("default", "web")


@pytest.fixture
def loop():
    """A clock at 0."""
    return Loop()


def test_nothing_expected_is_satisfied(loop):
    """A controller that has done nothing may act."""
    assert Expectations(loop).satisfied(KEY)


def test_each_creation_must_be_seen(loop):
    """Two creations take two observations; a third one does no harm."""
    expectations = Expectations(loop)
    expectations.expect_creations(KEY, 2)

    expectations.creation_observed(KEY)
    assert not expectations.satisfied(KEY)
    expectations.creation_observed(KEY)
    expectations.creation_observed(KEY)
    assert expectations.satisfied(KEY)


def test_each_deletion_counts_once(loop):
    """A Pod is seen being deleted several times: its deletion timestamp, its end, its removal."""
    expectations = Expectations(loop)
    expectations.expect_deletions(KEY, ["a", "b"])

    for uid in ("a", "a", "stranger"):
        expectations.deletion_observed(KEY, uid)
    assert not expectations.satisfied(KEY)
    expectations.deletion_observed(KEY, "b")
    assert expectations.satisfied(KEY)


def test_after_five_minutes_the_controller_acts_on_what_it_sees(loop):
    """Upstream: ExpectationsTimeout is 5 minutes, and must be exceeded."""
    expectations = Expectations(loop)
    expectations.expect_creations(KEY, 1)

    loop.run_until(TIMEOUT_NS)
    assert TIMEOUT_NS == 5 * MINUTE
    assert not expectations.satisfied(KEY)
    loop.run_until(TIMEOUT_NS + 1)
    assert expectations.satisfied(KEY)


def test_keys_do_not_mix_and_can_be_forgotten(loop):
    """What one ReplicaSet waits for holds no other back; a deleted one waits for nothing."""
    expectations = Expectations(loop)
    expectations.expect_creations(KEY, 1)
    expectations.creation_observed(Key("default", "other"))

    assert expectations.satisfied(Key("default", "other"))
    assert not expectations.satisfied(KEY)
    expectations.forget(KEY)
    assert expectations.satisfied(KEY)


class Informers:
    """Caches that have come so far, by kind."""

    def __init__(self, **revisions):
        self.revisions = revisions

    def informer(self, kind):
        """What the check asks of a factory."""
        self.resource_version = self.revisions[kind.plural]
        return self


def written(revision):
    return {"metadata": {"resourceVersion": str(revision)}}


def test_a_cache_behind_the_own_writes_is_refused():
    """The newest write of each kind counts. Upstream: consistency_test.go."""
    informers = Informers(pods="9", replicasets="20")
    record = WrittenRevisions(informers)
    record.check(KEY)
    record.note(KEY, POD, written(10))
    record.note(KEY, POD, written(8))
    record.note(KEY, REPLICA_SET, written(20))

    with pytest.raises(
        NotYetError, match="read version: 9 is not as new as written version: 10 for group resource pods"
    ):
        record.check(KEY)
    record.check(Key("default", "other"))
    informers.revisions["pods"] = "10"
    record.check(KEY)


def test_writes_of_a_deleted_owner_are_forgotten():
    """A new owner of the same name starts afresh."""
    record = WrittenRevisions(Informers(pods="1"))
    record.note(KEY, POD, written(5))
    record.forget(KEY)

    assert record.check(KEY) is None
