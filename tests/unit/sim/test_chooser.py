"""Streams of choices: equal for equal seeds and names, and independent of each other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.sim.chooser import ALPHANUMERICS, Chooser


def _draws(stream):
    return [stream.below(1000), stream.fraction(), stream.suffix(), stream.uid(), stream.pick("abcdef")]


@given(st.integers(0, 2**64), st.text(max_size=8))
def test_seed_and_name_determine_a_stream(seed, name):
    """Two choosers of one seed agree."""
    assert _draws(Chooser(seed).stream(name)) == _draws(Chooser(seed).stream(name))


def test_what_one_actor_draws_does_not_shift_what_another_gets():
    """Whoever draws first, and however much."""
    calm, busy = Chooser(7), Chooser(7)
    for _ in range(100):
        busy.stream("noise").below(10)

    assert _draws(busy.stream("kubelet")) == _draws(calm.stream("kubelet"))


def test_a_name_is_one_stream():
    """Asked for again it goes on where it was."""
    chooser = Chooser(1)
    assert chooser.stream("a") is chooser.stream("a")


def test_the_first_draws_of_seed_0_stay_what_they_are():
    """A run recorded with an earlier version must replay: these values are part of what a seed means."""
    stream = Chooser(0).stream("apiserver")
    assert [stream.below(1_000_000) for _ in range(3)] == [497219, 77458, 131227]


@pytest.mark.parametrize("length", [1, 5, 10])
def test_a_suffix_has_kubernetes_letters(length):
    """Upstream: apimachinery/pkg/util/rand/rand.go @v1.36"""
    suffix = Chooser(3).stream("names").suffix(length)

    assert len(suffix) == length
    assert set(suffix) <= set(ALPHANUMERICS)


def test_a_uid_is_a_random_uuid():
    """Version 4, the variant of RFC 4122."""
    stream = Chooser(3).stream("uids")
    uids = [stream.uid() for _ in range(200)]

    assert len(set(uids)) == 200
    pattern = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(pattern.fullmatch(uid) for uid in uids)


@given(st.integers(1, 100))
def test_a_choice_is_one_of_the_alternatives(count):
    """And a fraction lies below 1."""
    stream = Chooser(count).stream("x")
    assert all(0 <= stream.below(count) < count for _ in range(20))
    assert all(0.0 <= stream.fraction() < 1.0 for _ in range(20))
