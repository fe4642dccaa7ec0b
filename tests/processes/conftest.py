"""Real processes run on Linux alone."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def _linux():
    if sys.platform != "linux":
        pytest.skip("the tests look into /proc")
