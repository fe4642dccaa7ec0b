"""A scenario that names what does not exist is refused before anything runs."""

from __future__ import annotations

import pytest

from kubesim.api.kinds import DEPLOYMENT, STATEFUL_SET
from kubesim.scenario.fields import Reader
from kubesim.scenario.model import Scenario
from kubesim.scenario.references import find_missing

OBJECTS = [
    (DEPLOYMENT, {"metadata": {"name": "web"}, "spec": {}}),
    (
        STATEFUL_SET,
        {"metadata": {"name": "db"}, "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}},
    ),
]


def missing(step):
    """The mistakes of a scenario of one step."""
    from kubesim.manifests.document import read_documents

    (document,) = read_documents(f"name: x\npromise: y.\nsteps:\n  - {step}\n")
    problems = []
    scenario = Reader(lambda *problem: problems.append(problem)).read(Scenario, document.value, document.spot, "")
    assert not problems
    return list(find_missing(scenario, OBJECTS, ["node-1", "node-2"]))


@pytest.mark.parametrize(
    "step",
    [
        "crash: deployment/web",
        "crash: deploy/web",
        "crash: pod/db-0",
        "crash: pod/web-7d9c-x2x4z",
        "until: [pvc/data-db-0 bound]",
        "losePower: node-2",
        "until: ['node/* ready']",
    ],
)
def test_what_exists_or_will_is_accepted(step):
    """Objects by any of their kinds' words, nodes, and what controllers will make under names that can be foretold."""
    assert missing(step) == []


@pytest.mark.parametrize(
    "step, path, message",
    [
        (
            "crash: deployment/wbe",
            ("steps", 0, "crash", "of"),
            "there is no deployment/wbe in the manifests or the cluster; did you mean deployment/web?",
        ),
        ("crash: deploymet/web", ("steps", 0, "crash", "of"), 'there is no kind "deploymet"; did you mean deployment?'),
        (
            "crash: pod/db-x",
            ("steps", 0, "crash", "of"),
            "there is no pod/db-x in the manifests or the cluster; add it to the manifests, or name another object",
        ),
        (
            "losePower: node-9",
            ("steps", 0, "losePower", "node"),
            "there is no node/node-9 in the manifests or the cluster; there are node/node-1, node/node-2",
        ),
        (
            "until: [service/web present]",
            ("steps", 0, "until", 0, "object"),
            "there is no service/web in the manifests or the cluster; add it to the manifests, or name another object",
        ),
    ],
)
def test_what_does_not_exist_is_named(step, path, message):
    """With its place in the file and the nearest name."""
    assert missing(step) == [(path, message)]
