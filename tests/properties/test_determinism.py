"""Same seed, same history, byte for byte: in one process, in another, under any string hashing, on any Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from digest_of_a_run import run, steps

SCRIPT = Path(__file__).with_name("digest_of_a_run.py")
ROOT = Path(__file__).parents[2]
# Interpreters beside those on the path, as `/usr/bin/python3.12:/opt/py313/bin/python`.
OTHERS = "KUBESIM_PYTHONS"


@pytest.fixture(scope="module")
def digest():
    """The digest of seed 1 in this process."""
    return run(1)


def digest_in_process(python, hash_seed):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([python, SCRIPT, "1"], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_string_hashing_does_not_matter(digest, hash_seed):
    """Nothing iterates over a set, or orders by hash, where order can be seen."""
    assert digest_in_process(sys.executable, hash_seed) == digest


def find_python(version):
    """An interpreter of that version which has what kubesim needs, or None."""
    named = [path for path in os.environ.get(OTHERS, "").split(os.pathsep) if path]
    for python in [*named, sys.executable, shutil.which(f"python{version}")]:
        if python is None:
            continue
        code = "import sys, msgspec, yaml; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return python
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_python_does_not_matter(digest, version):
    """Floating point, JSON and pseudo-random numbers are the same on every Python that is supported."""
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} with msgspec and yaml on the path or in {OTHERS}")

    assert digest_in_process(python, "random") == digest


def test_a_second_run_in_the_process_is_the_same(digest):
    """No cache, counter or memo that outlives a cluster can be seen in the next one."""
    assert run(1) == digest


def test_two_clusters_in_one_process_do_not_touch(digest):
    """Step by step in turns, each has the history that it has alone."""
    digests = list(zip(steps(1), steps(2), steps(1), strict=True))[-1]

    assert digests == (digest, run(2), digest)


def test_another_seed_is_another_history(digest):
    """Names, jitter and latencies come from the seed."""
    assert len({digest, run(2), run(3)}) == 3
