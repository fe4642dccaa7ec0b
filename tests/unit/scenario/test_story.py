"""The default story fits whatever manifests it gets."""

from __future__ import annotations

import pytest

from kubesim.manifests import load
from kubesim.scenario.story import plan_story

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "shop/web:1.2"}]}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
"""


def story_of(tmp_path, text, nodes=3):
    """The story for manifests."""
    file = tmp_path / "m.yaml"
    file.write_text(text)
    return plan_story([manifest.object for manifest in load(file)], nodes)


def actions(story):
    """Its actions in order."""
    return [step.action for step in story.scenario.steps]


def test_the_reference_stack_gets_the_mission():
    """Every accident of the mission, users who write, and the database spared when a node is lost."""
    story = plan_story([manifest.object for manifest in load("specs/stack.yaml")], 3)

    assert actions(story) == ["crash", "delete", "crash", "losePower", "restorePower", "setImage"]
    assert story.scenario.load.service == "vehicle-api"
    assert story.scenario.load.write_percent == 20
    assert story.scenario.steps[3].argument.runs_not == "statefulset/postgres"
    assert story.scenario.steps[5].argument.image == "vehicle-api:next"
    assert story.notes == ()


@pytest.mark.parametrize(
    "text, nodes, expected, service, notes",
    [
        (WEB + SERVICE, 3, ["crash", "delete", "losePower", "restorePower", "setImage"], "web", 0),
        (WEB, 3, ["crash", "delete", "losePower", "restorePower", "setImage"], None, 1),
        (WEB + SERVICE, 1, ["crash", "delete", "setImage"], "web", 1),
        (CONFIG, 3, [], None, 2),
    ],
    ids=["a Service without a database", "no Service", "one node", "nothing that runs"],
)
def test_what_is_not_there_is_left_out(tmp_path, text, nodes, expected, service, notes):
    """And the report says what was left out."""
    story = story_of(tmp_path, text, nodes)

    assert actions(story) == expected
    assert (story.scenario.load and story.scenario.load.service) == service
    assert len(story.notes) == notes


def test_users_write_only_where_somebody_keeps_it(tmp_path):
    """Nobody can say what an unknown program does with a POST."""
    story = story_of(tmp_path, WEB + SERVICE)

    assert story.scenario.load.write_percent == 0
    assert story.scenario.expect == []
