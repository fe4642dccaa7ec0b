"""`proxy` of Pods and Services: an HTTP request carried to a simulated program, and its reply back.

Upstream: pkg/registry/core/{pod,service}/rest, apimachinery/pkg/util/net/util.go:SplitSchemeNamePort @v1.36
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kubesim.api.kinds import POD
from kubesim.api.objects import Object
from kubesim.apiserver.server import ApiServer
from kubesim.errors import ApiError, bad_request
from kubesim.http.bridge import Bridge, body_of, value_of
from kubesim.http.targets import Target
from kubesim.network.messages import HttpReply, HttpRequest


async def proxied(
    server: ApiServer, bridge: Bridge, target: Target, method: str, query: str, body: bytes
) -> web.Response:
    """The reply of what a proxy's path names.

    Raises:
        ApiError: 400, the name makes no sense; 404, there is none; 502 or 503, nobody answers.
    """
    name, _, port = target.name.partition(":")
    if ":" in port:
        # A scheme stands before the name.
        name, _, port = port.partition(":")
    obj = server.existing(target.kind, target.namespace, name)
    host, number = _of_pod(obj, port) if target.kind is POD else _of_service(obj, port)
    path = f"/{target.rest}" + (f"?{query}" if query else "")
    answer = await bridge.call(host, number, HttpRequest(method, path, value_of(body)))
    if not isinstance(answer, HttpReply):
        text = getattr(answer, "text", "the program does not speak HTTP")
        raise ApiError(503, "ServiceUnavailable", f"error trying to reach service: {text}")
    content, media = body_of(answer)
    return web.Response(status=answer.status, body=content, headers={"Content-Type": media})


def _of_pod(pod: Object, port: str) -> tuple[str, int]:
    ip = (pod.get("status") or {}).get("podIP")
    if not ip:
        raise bad_request("address not allowed")
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or ()]
    for each in ports:
        if port and each.get("name") == port:
            return str(ip), int(each["containerPort"])
    if port and not port.isdigit():
        raise bad_request(f'invalid pod request "{pod["metadata"]["name"]}:{port}"')
    return str(ip), int(port) if port else int(ports[0]["containerPort"]) if ports else 80


def _of_service(service: Object, port: str) -> tuple[str, int]:
    spec: Any = service["spec"]
    ports: Any = spec.get("ports") or ()
    if not port and len(ports) == 1:
        port = str(ports[0]["port"])
    for each in ports:
        if port in (each.get("name"), str(each["port"])):
            metadata = service["metadata"]
            return f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local", int(each["port"])
    name = service["metadata"]["name"]
    raise ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')
