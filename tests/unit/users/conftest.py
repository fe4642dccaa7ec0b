"""Fixtures of these tests: the data plane of the network's tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from data_plane import DataPlane


@pytest.fixture
def plane():
    """A data plane with nothing on it."""
    return DataPlane()
