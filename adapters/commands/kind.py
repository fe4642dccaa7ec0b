"""`kind up|load|down`: a kind cluster with the image built, loaded, and the manifests applied and ready."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adapters.applying import apply_all
from adapters.commands.objects import name_of, wait
from adapters.connection import Connection
from adapters.contexts import choose_target
from adapters.order import in_dependency_order
from kubesim.api.kinds import SERVICE
from kubesim.api.objects import Object
from kubesim.api.requests import Options, Request
from kubesim.cli.durations import read_duration
from kubesim.errors import UserError
from kubesim.manifests import Manifest
from kubesim.manifests import load as load_manifests

_HOST_PORT: Final = 8080
_NODE_PORT: Final = 30080
_ENGINES: Final = ("docker", "podman")
_WHERE: Final = {
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "docker": "https://docs.docker.com/engine/install/ (or podman: https://podman.io/docs/installation)",
}


def up(arguments: argparse.Namespace) -> int:
    """Make the cluster if there is none of that name, build and load images, apply, wait, print the address."""
    within_ns = read_duration("--timeout", arguments.timeout)
    engine = _require_programs()
    manifests = in_dependency_order(load_manifests(*arguments.spec))
    name = arguments.name
    if name in _run_quietly("kind", "get", "clusters").split():
        _say(f"kind cluster {name} is there already")
    else:
        _create(name, arguments.node_image)
    _build_and_load(engine, arguments)
    _load_local_images(engine, manifests, arguments)
    target = choose_target(f"kind-{name}", None, None, Path())

    async def go() -> int:
        async with Connection(target) as connection:
            services: list[Object] = []
            async for applied in apply_all(connection, manifests):
                _say(f"{name_of(applied.manifest)} {applied.verb}")
                services += [applied.object] if applied.manifest.kind.kind == "Service" else []
            code = await wait(connection, manifests, within_ns)
            await _open_to_host(connection, services, engine, name)
            return code

    return asyncio.run(go())


def load(arguments: argparse.Namespace) -> int:
    """Build the image again and load it; Pods take it when they are made anew."""
    _build_and_load(_require_programs(), arguments)
    _say(f"loaded {arguments.image}; to use it: kubectl --context kind-{arguments.name} rollout restart …")
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Delete the cluster."""
    _require_programs()
    if arguments.name not in _run_quietly("kind", "get", "clusters").split():
        _say(f"there is no kind cluster {arguments.name}")
        return 0
    _run("kind", "delete", "cluster", "--name", arguments.name)
    return 0


def _build_and_load(engine: str, arguments: argparse.Namespace) -> None:
    if not (Path(arguments.build) / "Dockerfile").is_file():
        raise UserError(f"{arguments.build}: there is no Dockerfile in it; name its folder with --build")
    _run(engine, "build", "--tag", arguments.image, arguments.build)
    _run("kind", "load", "docker-image", arguments.image, "--name", arguments.name)


def _create(name: str, node_image: str | None) -> None:
    """A cluster of one node, one of whose ports is a port of this machine."""
    port = _HOST_PORT if _is_free(_HOST_PORT) else 0
    mapping = {"containerPort": _NODE_PORT, "hostPort": port, "listenAddress": "127.0.0.1"}
    node = {"role": "control-plane", "extraPortMappings": [mapping]}
    config = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}
    image = ("--image", node_image) if node_image else ()
    _run("kind", "create", "cluster", "--name", name, "--config", "-", *image, stdin=json.dumps(config))


def _load_local_images(engine: str, manifests: Sequence[Manifest], arguments: argparse.Namespace) -> None:
    """Give the node what this machine has already, so that nothing of it need be pulled again."""
    for image in images_of(manifests):
        if image != arguments.image and _succeeds(engine, "image", "inspect", image):
            _run("kind", "load", "docker-image", image, "--name", arguments.name)


def images_of(manifests: Sequence[Manifest]) -> list[str]:
    """The images of all Pod templates and Pods, each once."""
    images: dict[str, None] = {}
    for manifest in manifests:
        spec = manifest.object.get("spec") or {}
        pod = spec if manifest.kind.kind == "Pod" else (spec.get("template") or {}).get("spec") or {}
        for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
            images[container["image"]] = None
    return list(images)


async def _open_to_host(connection: Connection, services: Sequence[Object], engine: str, name: str) -> None:
    """Make the first Service with an address reachable from this machine, by a NodePort beside it; say where."""
    service = next((each for each in services if each["spec"].get("clusterIP") != "None"), None)
    if service is None:
        return
    metadata, port = service["metadata"], service["spec"]["ports"][0]
    published = _run_quietly(engine, "port", f"{name}-control-plane").splitlines()
    address = next((line.partition(" -> ")[2] for line in published if line.startswith(f"{_NODE_PORT}/tcp")), "")
    if not address:
        forward = f"kubectl --context kind-{name} -n {metadata['namespace']} port-forward service/{metadata['name']}"
        _say(f"this cluster publishes no port of its node; to reach the Service: {forward} 8080:{port['port']}")
        return
    outside: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{metadata['name']}-outside", "namespace": metadata["namespace"]},
        "spec": {
            "type": "NodePort",
            "selector": service["spec"]["selector"],
            "ports": [
                {"port": port["port"], "targetPort": port.get("targetPort", port["port"]), "nodePort": _NODE_PORT}
            ],
        },
    }
    options = Options(patch_type="apply", force=True)
    await connection.send(
        Request("patch", SERVICE, metadata["namespace"], outside["metadata"]["name"], "", outside, options)
    )
    _say(f"service/{metadata['name']} is at http://{address}/ (by service/{outside['metadata']['name']})")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _require_programs() -> str:
    """The container engine to be used.

    Raises:
        UserError: a program is missing; it says where it is to be had.
    """
    engine = next(filter(shutil.which, _ENGINES), None)
    if engine is None:
        raise UserError(f"neither docker nor podman is installed; get one: {_WHERE['docker']}")
    if shutil.which("kind") is None:
        raise UserError(f"the program kind is not installed; get it: {_WHERE['kind']}")
    return engine


def _run(*command: str, stdin: str | None = None) -> None:
    """Run a program whose words the user may see.

    Raises:
        UserError: it failed; its own words have said why.
    """
    _say(f"$ {' '.join(command)}")
    code = subprocess.run(command, check=False, input=stdin, text=True).returncode
    if code:
        raise UserError(f"{command[0]} {command[1]} failed with exit code {code}; see above")


def _run_quietly(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{' '.join(command[:3])} failed: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return done.stdout


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


COMMANDS: Final = {"up": up, "load": load, "down": down}
