"""Names of images as runtimes report them. Upstream: github.com/distribution/reference"""

from __future__ import annotations

import pytest

from kubesim.node.images import full_name


@pytest.mark.parametrize(
    "image, name",
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("team/app:1", "docker.io/team/app:1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        (f"nginx@sha256:{'a' * 64}", f"docker.io/library/nginx@sha256:{'a' * 64}"),
        ("Bad Name:1", None),
        ("UPPER", None),
        ("", None),
    ],
)
def test_full_name(image, name):
    """Registry, library and tag are filled in; what isn't a reference has no name."""
    assert full_name(image) == name
