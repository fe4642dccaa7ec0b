"""The memo of pure functions of shared objects."""

from __future__ import annotations

from kubesim.api.memo import IdentitiesMemo, IdentityMemo


def test_a_key_is_computed_once_per_identity():
    """The same object is looked up; an equal one is computed again."""
    seen = []
    memo = IdentityMemo(lambda key: seen.append(key) or len(seen))
    key = {"a": 1}

    assert [memo(key), memo(key), memo({"a": 1})] == [1, 1, 2]


def test_a_full_memo_forgets_the_older_half():
    """The memo never holds more than its size, and forgetting only means computing again."""
    seen = []
    memo = IdentityMemo(seen.append, size=4)
    keys = [[number] for number in range(5)]
    for key in keys:
        memo(key)

    memo(keys[3])
    memo(keys[0])

    assert seen == [[0], [1], [2], [3], [4], [0]]


def test_keys_are_kept_alive():
    """A new object cannot take the identity of a remembered one."""
    memo = IdentityMemo(lambda key: key[0])

    assert [memo([number]) for number in range(500)] == list(range(500))


def test_a_combination_of_keys_is_computed_once():
    """Each combination of the very same objects has a value of its own; a full memo forgets the older half."""
    seen = []
    memo = IdentitiesMemo(lambda *keys: seen.append(keys) or len(seen), size=4)
    a, b = [1], [2]

    assert [memo(a, b), memo(b, a), memo(a, b), memo([1], b)] == [1, 2, 1, 3]
    memo(a)
    memo(b)

    assert [memo(b), memo(a, b)] == [5, 6]
