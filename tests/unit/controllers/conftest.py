"""Controllers under test."""

from __future__ import annotations

import pytest
from manager_world import ManagerWorld


@pytest.fixture
def world():
    """A fresh cluster without nodes, one second old."""
    return ManagerWorld()
