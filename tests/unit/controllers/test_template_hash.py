"""The hash of a Pod template: upstream's functions over our own rendering of the template."""

from __future__ import annotations

import pytest

from kubesim.controllers.template_hash import compute_hash, fnv32a, safe_encode

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "app"}]}}


@pytest.mark.parametrize("data, value", [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)])
def test_the_hash_function_is_fnv_1a(data, value):
    """Its authors' published vectors (draft-eastlake-fnv)."""
    assert fnv32a(data) == value


def test_the_letters_are_those_of_generated_names():
    """Upstream: apimachinery/pkg/util/rand/rand.go:SafeEncodeString picks "bcdf…"[letter % 27]."""
    assert safe_encode("0123456789") == "456789bcdf"


def test_the_hash_does_not_depend_on_the_order_of_fields():
    """The same template written in another order has the same ReplicaSet."""
    turned = {"spec": {"containers": [{"image": "app", "name": "main"}]}, "metadata": {"labels": {"app": "web"}}}

    assert compute_hash(turned, None) == compute_hash(TEMPLATE, None)


def test_any_change_and_any_collision_count_changes_the_hash():
    """That is what tells ReplicaSets apart, and what a collision is resolved by."""
    other = {**TEMPLATE, "metadata": {"labels": {"app": "db"}}}

    hashes = [
        compute_hash(TEMPLATE, None),
        compute_hash(other, None),
        *(compute_hash(TEMPLATE, count) for count in range(3)),
    ]
    assert len(set(hashes)) == 5
    assert all(set(each) <= set("bcdfghjklmnpqrstvwxz2456789") for each in hashes)
