"""What holds for every test of the project."""

from __future__ import annotations

import pytest

from kubesim.testing.mutation import no_mutations


@pytest.fixture(autouse=True)
def no_changes_in_place():
    """Nothing may change an object in place once it is stored."""
    with no_mutations():
        yield


def pytest_addoption(parser):
    """Options of the whole suite."""
    what = "write the golden files anew; look at the difference and say why"
    parser.addoption("--golden-rewrite", action="store_true", help=what)
