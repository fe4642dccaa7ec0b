"""Nodes under test."""

from __future__ import annotations

import pytest
from worlds import World


@pytest.fixture
def world():
    """One node under an API server, with nothing on it."""
    return World()
