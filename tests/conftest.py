"""What holds for every test of the project.

Hypothesis has two profiles: `ci` repeats the same few examples, `soak` (HYPOTHESIS_PROFILE=soak) looks for new ones.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from kubesim.testing.mutation import no_mutations

# How fast a test is depends on the machine, and fails nobody.
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "ci", max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW
)
settings.register_profile(
    "soak",
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "2000")),
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def no_changes_in_place():
    """Nothing may change an object in place once it is stored."""
    with no_mutations():
        yield


def pytest_addoption(parser):
    """Options of the whole suite."""
    what = "write the golden files anew; look at the difference and say why"
    parser.addoption("--golden-rewrite", action="store_true", help=what)
