"""What the API server's tests share."""

import pytest
from api_world import ApiWorld


@pytest.fixture
def world():
    """A fresh API server with the namespace default."""
    return ApiWorld()
