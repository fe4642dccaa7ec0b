"""The commands on a cluster: the simulator behind HTTP, or with KUBECONFIG and KUBESIM_TEST_CONTEXT set a real one."""

from __future__ import annotations

import pytest
import yaml

from adapters.command_line import main

SPEC = """\
apiVersion: v1
kind: Namespace
metadata: {name: adapters-test}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: adapters-test}
stringData: {password: not-to-be-shown}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: adapters-test}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: adapters-test}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "python:3.11-slim", imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]
"""


@pytest.fixture
def run(cluster, tmp_path, capsys, monkeypatch):
    """Run a command on the spec; returns its exit code, its lines and its errors. All is gone after the test."""
    kubeconfig, context = cluster
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    monkeypatch.chdir(tmp_path)

    def call(command, *words, spec=str(file)):
        code = main([command, spec, "--context", context, "--kubeconfig", kubeconfig, *words])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    call.file = file
    yield call
    file.write_text(SPEC)
    main(["delete", str(file), "--context", context, "--kubeconfig", kubeconfig, "--yes"])
    capsys.readouterr()


def test_applying_twice_changes_nothing(run):
    """The first creates and waits until all is ready, the second says that everything is as it was."""
    code, lines, _ = run("apply")

    assert code == 0
    assert lines[:4] == [
        "namespace/adapters-test created",
        "secret/s created",
        "configmap/c created",
        "deployment.apps/web created",
    ]
    assert lines[4].startswith("everything is ready after ")
    assert run("apply")[1][:4] == [line.replace("created", "unchanged") for line in lines[:4]]
    assert run("diff") == (0, [], "")
    assert run("status")[0] == 0


def test_a_dry_run_and_a_diff_write_nothing(run):
    """They say what would happen, and no secret."""
    code, lines, _ = run("apply", "--dry-run", "server")
    shown = "\n".join(run("diff")[1])

    assert (code, lines[0]) == (0, "namespace/adapters-test created (server dry run)")
    assert "deployment.apps/web would be created" in shown
    assert "not-to-be-shown" not in shown
    assert run("status")[0] == 1


def test_a_field_that_has_another_manager_is_a_conflict(run, cluster):
    """It is said as kubectl says it, with file and line; --force-conflicts takes the field over."""
    run("apply", "--no-wait")
    take_over(cluster, "configmaps/c", {"data": {"a": "2"}})
    code, _, errors = run("apply", "--no-wait")

    assert code == 2
    assert 'conflict with "somebody" using v1' in errors
    assert "spec.yaml:13: .data.a" in errors.replace(str(run.file.parent) + "/", "")
    assert "--force-conflicts" in errors
    assert run("apply", "--no-wait", "--force-conflicts")[1][2] == "configmap/c configured"


def test_a_field_taken_out_of_a_manifest_is_taken_out_of_its_object(run):
    """What we alone have applied goes with it."""
    run("apply", "--no-wait")
    run.file.write_text(SPEC.replace('data: {a: "1"}', 'data: {b: "1"}'))
    lines = run("diff")[1]

    assert "configmap/c would change" in lines
    assert '  - data.a: "1"' in lines
    assert '  + data.b: "1"' in lines


def test_only_what_was_applied_is_deleted(run, cluster):
    """An object of the same name that somebody else has made is left alone."""
    run("apply", "--no-wait")
    run.file.write_text(SPEC.replace("name: c,", "name: theirs,"))
    create(cluster, "configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}})
    code, lines, _ = run("delete")

    assert code == 0
    assert "configmap/theirs is left: we have not applied it" in lines
    assert {"deployment.apps/web deleted", "secret/s deleted", "namespace/adapters-test deleted"} <= set(lines)


def test_a_namespace_that_was_there_before_is_not_deleted_unasked(run, cluster):
    """Without a terminal to ask on it stays; with --yes it goes."""
    create(cluster, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "adapters-test"}})
    run("apply", "--no-wait")

    assert "namespace/adapters-test is left: it was there before, or others have written it too" in run("delete")[1]
    assert "namespace/adapters-test deleted" in run("delete", "--yes")[1]


def test_what_does_not_get_ready_is_said_with_its_warnings(run):
    """Exit code 1, and the cluster's own words."""
    run.file.write_text(
        SPEC.replace(
            'image: "python:3.11-slim", imagePullPolicy: IfNotPresent', "image: nosuch, imagePullPolicy: Never"
        )
    )
    code, lines, _ = run("apply", "--timeout", "4s")

    assert code == 1
    assert "deployment/web is not ready: 0/2 ready" in lines
    assert any("ErrImageNeverPull" in line or "is not present with pull policy of Never" in line for line in lines)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--timeout", "soon"), "error: --timeout: 'soon' is no time; write it as in 90s, 5m or 1h30m"),
        (("--namespace", "x", "--kubeconfig", "nowhere"), "error: nowhere: there is no such kubeconfig file"),
    ],
)
def test_a_wrong_word_is_a_line(run, words, message):
    """Exit code 2, and nothing has been done."""
    code, lines, errors = run("apply", *words)

    assert (code, lines, errors.splitlines()[-1]) == (2, [], message)


def test_a_server_that_is_not_there_is_a_line(run, tmp_path, capsys):
    """It says which context and where."""
    entry = {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "gone", "context": {"cluster": "gone", "user": "gone"}}
    config = {
        "clusters": [entry],
        "contexts": [context],
        "users": [{"name": "gone", "user": {}}],
        "current-context": "gone",
    }
    file = tmp_path / "gone"
    file.write_text(yaml.safe_dump(config))
    code = main(["status", str(run.file), "--context", "gone", "--kubeconfig", str(file)])

    assert code == 2
    assert capsys.readouterr().err.startswith("error: context gone: http://127.0.0.1:1 cannot be reached: ")


def test_a_scenario_runs_over_the_port(run, cluster, tmp_path, capsys):
    """What it applies is gone afterwards."""
    kubeconfig, context = cluster
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "name: scaled\npromise: A Deployment follows its size.\nmanifests: [spec.yaml]\nnamespace: adapters-test\nsteps:\n"
        "  - scale: {of: deployment/web, replicas: 3}\n    until: [deployment/web ready]\n    within: 60s\n"
        "  - delete: {of: deployment/web, pod: true, graceSeconds: 0}\n    until: [deployment/web ready]\n    within: 60s\n"
        "  - patch: {of: deployment/web, change: {spec: {selector: {matchLabels: {app: x}}}}}\n"
        "    expect: [{answer: {code: 422, reason: Invalid}}]\n"
        "  - exec: {of: deployment/web, command: [cat, /etc/nosuch]}\n"
    )
    code = main(["run", str(scenario), "--context", context, "--kubeconfig", kubeconfig])
    shown = capsys.readouterr().out

    assert code == 1, "a command that fails is an expectation that does not hold"
    assert "✗ FAILED: 1 of" in shown
    assert "exec is done — cat /etc/nosuch ends with 1: cat: /etc/nosuch: No such file or directory" in shown
    assert run("status")[0] == 1


REPLAY = """\
name: a replay
promise: Found by a search.
manifests: [spec.yaml]
faults:
  - {at: 1s, scale: {of: deployment/web, replicas: 3}}
  - {afterWrite: {by: replicaset-controller, verb: created, of: pod}, delete: {of: deployment/web, oldest: true}}
  - {at: 1500ms, cordon: {runs: deployment/web}}
checks: {invariants: [noExtraPods], disturbed: 3s, within: 60s, stays: 1s, breaks: noExtraPods}
"""


def test_a_replay_runs_on_a_cluster(run, cluster, tmp_path, capsys):
    """Its faults strike, all is healed, and what can be judged there is; what cannot is said."""
    kubeconfig, context = cluster
    file = tmp_path / "replay.yaml"
    file.write_text(REPLAY)
    code = main(["run", str(file), "--context", context, "--kubeconfig", kubeconfig])
    shown = capsys.readouterr().out

    assert code == 0, shown
    assert "✓ HEALTHY: 3 expectations held" in shown
    assert " s after the first: scale deployment/web" in shown
    assert ": delete pod/web-" in shown
    assert shown.count("cordon node/") == 2, "it strikes, and is over"
    assert "note: a watch does not show who writes: a fault strikes after the write of anybody" in shown
    assert "note: invariants are watched in the simulator only, here not: noExtraPods" in shown
    assert "note: in the simulator this breaks noExtraPods" in shown
    assert run("status")[0] == 1, "what it applied is gone"


def test_a_fault_that_cannot_be_done_there_is_refused_before_anything_is_done(run, cluster, tmp_path, capsys):
    """By its name, with its line and what can be done."""
    kubeconfig, context = cluster
    file = tmp_path / "replay.yaml"
    file.write_text(REPLAY.replace("cordon: {runs", "losePower: {runs"))
    code = main(["run", str(file), "--context", context, "--kubeconfig", kubeconfig])
    shown = capsys.readouterr().err

    assert code == 2
    assert "replay.yaml:7:5: losePower cannot be done to this cluster from here; it can do delete, evict," in shown
    assert run("status")[1][0].endswith("is not there")


def create(cluster, collection, obj):
    send(cluster, "POST", collection, obj, "application/json")


def take_over(cluster, path, change):
    send(cluster, "PATCH", path, change, "application/merge-patch+json")


def send(cluster, method, path, body, content_type):
    """A request by somebody else."""
    import asyncio
    from pathlib import Path

    from adapters.connection import Connection
    from adapters.contexts import choose_target
    from adapters.http_form import HttpForm

    async def go():
        async with Connection(choose_target(cluster[1], None, cluster[0], Path())) as connection:
            prefix = f"/api/v1/namespaces/adapters-test/{path}" if path else "/api/v1/namespaces"
            await connection._send(HttpForm(method, prefix, {"fieldManager": "somebody"}, body, content_type))

    asyncio.run(go())
