"""Where the machine allows no namespaces, texts say where things are instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_stacks import ask, manifest, marked, service, workload, write_images, write_manifests

from kubesim.cluster import ready
from kubesim.processes import stack as stack_module
from kubesim.processes.stack import ProcessStack
from kubesim.sim.loop import SECOND

pytestmark = pytest.mark.slow

ENV = [{"name": "WORDS", "value": "/etc/words/file"}, {"name": "PEER", "value": "web.default.svc"}]
WEB = workload(
    "Deployment",
    "web",
    volumes=[{"name": "words", "configMap": {"name": "words"}}],
    container={"env": ENV, "volumeMounts": [{"name": "words", "mountPath": "/etc/words"}]},
)
CONFIG = manifest("ConfigMap", "words", None, data={"file": "hello"})


def test_paths_and_names_are_replaced_in_the_environment(tmp_path, monkeypatch):
    """Variables hold the real path of a volume and the address of a Service, the user is told, and all ends with us."""
    monkeypatch.setattr(stack_module, "find_obstacle", lambda: "not here")
    mark = f"fallback-{os.getpid()}"
    WEB["spec"]["template"]["spec"]["containers"][0]["env"] = [*ENV, {"name": "MARK", "value": mark}]
    notes = []
    with ProcessStack(images=write_images(tmp_path)) as stack:
        stack.tell_notes(notes.append)
        stack.cluster.apply(write_manifests(tmp_path, CONFIG, service("web"), WEB))
        is_ready = ready("deployment/web")
        assert stack.pacer.run(stack.pacer.wall_ns() + 90 * SECOND, lambda: is_ready.holds(stack.cluster))
        answer = stack.pacer.aio.run_in_executor(None, ask, stack.service_address("web"))
        while not answer.done():
            stack.pacer.run(stack.pacer.wall_ns() + SECOND // 100)
        env = answer.result()["env"]

        assert Path(env["WORDS"]).read_text() == "hello"
        assert env["PEER"] == stack.service_address("web")[0]
        assert [note.partition("(")[2].partition(")")[0] for note in notes] == ["not here"]
        assert marked(mark)

    assert not marked(mark)
