"""Fixtures of the network's tests."""

import pytest
from data_plane import DataPlane


@pytest.fixture
def plane():
    """A data plane with nothing on it."""
    return DataPlane()
