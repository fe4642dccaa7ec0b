"""What the client's tests share."""

import pytest
from client_world import ClientWorld


@pytest.fixture
def world():
    """An API server with one namespace and one client."""
    return ClientWorld()
