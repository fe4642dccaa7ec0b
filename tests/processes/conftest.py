"""Real processes run on Linux alone."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from pathlib import Path

import pytest

TURNS = 3


@pytest.fixture(scope="session", autouse=True)
def _linux():
    if sys.platform != "linux":
        pytest.skip("the tests look into /proc")


@pytest.fixture(scope="module", autouse=True)
def _turn(_linux):
    """So many test processes at a time have stacks: there are addresses for seven, however many processors there are."""
    path = Path(tempfile.gettempdir()) / f"kubesim-tests-{os.getuid()}-{os.getpid() % TURNS}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
