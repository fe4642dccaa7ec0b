"""The algebra of status conditions."""

from __future__ import annotations

from kubesim.api.conditions import (
    find_condition,
    is_condition_true,
    with_condition,
    with_condition_last,
    without_condition,
)
from kubesim.api.objects import Object


def condition(kind: str, status: str = "True", at: int = 0, **fields: str) -> Object:
    """A condition that changed at second `at`."""
    return {"type": kind, "status": status, "lastTransitionTime": f"2026-01-01T00:00:{at:02d}Z", **fields}


READY, SCHEDULED = condition("Ready", "False", reason="Starting"), condition("PodScheduled")


def test_a_condition_is_found_by_its_type() -> None:
    """Absent lists hold no conditions."""
    assert find_condition([READY, SCHEDULED], "PodScheduled") is SCHEDULED
    assert find_condition([READY], "Gone") is None
    assert find_condition(None, "Ready") is None


def test_only_the_status_true_is_true() -> None:
    """False, Unknown and absent are all not true."""
    assert is_condition_true([SCHEDULED], "PodScheduled")
    assert not is_condition_true([READY, condition("Other", "Unknown")], "Ready")
    assert not is_condition_true([condition("Other", "Unknown")], "Other")
    assert not is_condition_true(None, "Ready")


def test_a_new_type_goes_to_the_end() -> None:
    """The list handed in stays as it was."""
    before = [READY]

    assert with_condition(before, SCHEDULED) == [READY, SCHEDULED]
    assert before == [READY]
    assert with_condition(None, READY) == [READY]


def test_a_changed_status_takes_the_new_time_in_the_old_place() -> None:
    """SetStatusCondition writes where the condition stood."""
    new = condition("Ready", "True", 9)

    assert with_condition([READY, SCHEDULED], new) == [new, SCHEDULED]


def test_an_unchanged_status_keeps_its_time() -> None:
    """A new reason alone does not move lastTransitionTime."""
    new = condition("Ready", "False", 9, reason="Slow")

    assert with_condition([READY], new) == [condition("Ready", "False", 0, reason="Slow")]


def test_a_time_that_was_never_set_stays_unset() -> None:
    """A status that does not change has nothing to date."""
    assert with_condition([{"type": "A", "status": "True"}], condition("A", at=3)) == [{"type": "A", "status": "True"}]


def test_a_list_that_would_not_change_is_returned_itself() -> None:
    """Identity tells the caller that there is nothing to write."""
    before = [READY, SCHEDULED]

    assert with_condition(before, condition("Ready", "False", 9, reason="Starting")) is before
    assert without_condition(before, "Gone") is before


def test_a_deployments_condition_moves_to_the_end() -> None:
    """SetDeploymentCondition filters and appends."""
    new = condition("Ready", "True", 9)

    assert with_condition_last([READY, SCHEDULED], new) == [SCHEDULED, new]
    assert with_condition_last(None, new) == [new]
    assert with_condition_last([SCHEDULED], READY) == [SCHEDULED, READY]


def test_a_deployments_condition_of_another_reason_keeps_its_time() -> None:
    """The status is what transitions."""
    new = condition("Ready", "False", 9, reason="Slow")

    assert with_condition_last([READY], new) == [condition("Ready", "False", 0, reason="Slow")]


def test_a_deployments_condition_ignores_a_new_message_alone() -> None:
    """Same status and reason: the old condition stands, message and all."""
    before = [READY]

    assert with_condition_last(before, condition("Ready", "False", 9, reason="Starting", message="new")) is before


def test_a_condition_can_be_taken_out() -> None:
    """Only its own type goes."""
    assert without_condition([READY, SCHEDULED], "Ready") == [SCHEDULED]
    assert without_condition(None, "Ready") == []
