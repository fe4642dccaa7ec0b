"""helm against `kubesim serve`: a release from its first version to its end. helm is the one that HELM names, else PATH's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from kubesim.http.kubeconfig import write_kubeconfig
from kubesim.http.served import ServedCluster

HELM = os.environ.get("HELM") or shutil.which("helm")
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "values.yaml": "replicas: 1\n",
    "templates/all.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {app: web}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "nginx:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: web}, ports: [{port: 80}]}
""",
}


@pytest.mark.slow
@pytest.mark.skipif(HELM is None, reason="there is no helm on PATH, and HELM names none")
def test_a_release_from_its_first_version_to_its_end(tmp_path):
    """Install, upgrade, roll back and uninstall, each waiting until it is so."""
    for name, text in CHART.items():
        path = tmp_path / "chart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    homes = {f"HELM_{part}_HOME": str(tmp_path / part) for part in ("CACHE", "CONFIG", "DATA")}
    sizes = []
    with ServedCluster(nodes=2, speed=60) as served:
        write_kubeconfig(tmp_path / "config", served.kubeconfig)

        def helm(words):
            line = [HELM, *words.split(), f"--kubeconfig={tmp_path}/config"]
            done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **homes}, check=False)
            assert done.returncode == 0, done.stderr
            deployment = served.call(lambda cluster: cluster.find("deployment/web"))
            sizes.append(None if deployment is None else deployment["status"].get("readyReplicas"))
            return done.stdout

        helm(f"install web {tmp_path}/chart --wait --timeout=60s")
        helm(f"upgrade web {tmp_path}/chart --set=replicas=3 --wait --timeout=60s")
        helm("rollback web 1 --wait --timeout=60s")
        history = json.loads(helm("history web -o json"))
        helm("uninstall web --wait")

    assert sizes == [1, 3, 1, 1, None]
    assert [entry["status"] for entry in history] == ["superseded", "superseded", "deployed"]
