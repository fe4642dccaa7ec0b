"""Fixtures that build small clusters for the scheduler's tests."""

from __future__ import annotations

import pytest
from scheduler_world import World, make_node, make_pod


@pytest.fixture
def node():
    """Builder of nodes."""
    return make_node


@pytest.fixture
def pod():
    """Builder of Pods."""
    return make_pod


@pytest.fixture
def world():
    """Builder of worlds from nodes."""
    return World
