"""Resource lists as the API server stores them; amounts recorded from Kubernetes 1.36.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesim.api import quantity
from kubesim.api.canonical import canonical_amount, canonical_resource_list, canonical_resources


@pytest.mark.parametrize(
    ("given_amount", "stored"),
    [
        (1, "1"),
        (1.5, "1500m"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("0.5Gi", "512Mi"),
        ("1024Mi", "1Gi"),
        (1073741824, "1073741824"),
        ("100u", "1m"),
        ("1e2", "100"),
    ],
)
def test_an_amount_is_stored_in_canonical_form(given_amount: quantity.QuantityText, stored: str) -> None:
    """In its own family of suffixes, nothing finer than thousandths."""
    assert canonical_amount(given_amount) == stored


def test_canonical_lists_are_shared() -> None:
    """Nothing to rewrite, nothing copied."""
    resources = {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "500m"}}

    assert canonical_resources(resources) is resources
    assert canonical_resource_list(resources["limits"]) is resources["limits"]


def test_only_the_list_that_changes_is_rewritten() -> None:
    """The other one stays the object that it was, and so do claims."""
    resources = {"limits": {"cpu": 1}, "requests": {"cpu": "500m"}, "claims": [{"name": "c"}]}

    canonical = canonical_resources(resources)

    assert canonical == {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}, "claims": [{"name": "c"}]}
    assert canonical["requests"] is resources["requests"]
    assert resources["limits"] == {"cpu": 1}


@given(st.decimals(min_value=0, max_value=10**9, places=9), st.sampled_from(["", "m", "k", "Ki", "Gi", "e3"]))
def test_rounding_goes_up_by_less_than_a_thousandth(number: object, suffix: str) -> None:
    """And what is stored is stable."""
    text = f"{number:f}{suffix}"
    stored = canonical_amount(text)
    gained = quantity.parse(stored).nano - quantity.parse(text).nano

    assert 0 <= gained < 1_000_000
    assert canonical_amount(stored) == stored
