"""What holds for the tests of this folder."""

from __future__ import annotations

import gc
import warnings

import pytest


@pytest.fixture(autouse=True, scope="module")
def sockets_are_collected_here():
    """The official client leaves TLS connections to the collector: they go here, and not in the midst of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
