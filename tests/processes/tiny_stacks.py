"""Stacks of real processes for tests: a tiny HTTP server is the image of all that is not a database."""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent


def manifest(kind, name, spec, **fields):
    """One object in the namespace default."""
    version = {"Deployment": "apps/v1", "StatefulSet": "apps/v1"}.get(kind, "v1")
    own = {"spec": spec} if spec is not None else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, **own, **fields}


def workload(kind, name, replicas=1, volumes=(), container=None, grace=5, **spec):
    """A workload of tiny servers on port 8080, ready when they answer."""
    server = {
        "name": "tiny",
        "image": "tiny:1",
        "ports": [{"name": "http", "containerPort": 8080}],
        # Patient, for a busy machine is no reason to be taken out of a Service.
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "http", "httpHeaders": [{"name": "X-Probe", "value": "yes"}]},
            "periodSeconds": 1,
            "timeoutSeconds": 30,
            "failureThreshold": 1,
        },
        **(container or {}),
    }
    pod = {"terminationGracePeriodSeconds": grace, "containers": [server], "volumes": list(volumes)}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    wanted = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return manifest(kind, name, {**wanted, **spec})


def service(name, port=80, **spec):
    """A Service of the workload with that name."""
    return manifest("Service", name, {"selector": {"app": name}, "ports": [{"port": port, "targetPort": 8080}], **spec})


def write_images(folder):
    """A file that says what `tiny` is."""
    path = folder / "images.yaml"
    command = [sys.executable, "-S", str(HERE / "tiny_server.py"), "{ip}", "8080"]
    path.write_text(yaml.safe_dump({"tiny": {"command": command, "env": {"FROM_IMAGE": "yes"}}}))
    return path


def write_manifests(folder, *objects):
    """A file with the objects."""
    path = folder / "stack.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


def ask(place, path="/"):
    """What a tiny server answers."""
    connection = http.client.HTTPConnection(*place, timeout=60)
    connection.request("GET", path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def marked(mark):
    """The PIDs of all processes, but this one and its parents, that have the text in their words or environment."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and int(path.name) not in (os.getpid(), os.getppid()):
            try:
                if mark.encode() in (path / "cmdline").read_bytes() + (path / "environ").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
    return found
