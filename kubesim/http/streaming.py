"""The subresources that lead to what runs: log, exec, attach, portforward, proxy.

Upstream: pkg/registry/core/pod/rest @v1.36
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict

from kubesim.api.kinds import NODE
from kubesim.api.objects import Object
from kubesim.apiserver.server import ApiServer
from kubesim.cluster.bootstrap import API_SERVER_IP
from kubesim.cluster.containers import Containers
from kubesim.cluster.data_plane import DataPlane
from kubesim.errors import bad_request
from kubesim.http.bridge import Bridge
from kubesim.http.channels import PROTOCOLS, Channels, read_exec_options
from kubesim.http.logs import followed, read_log_options, written
from kubesim.http.pace import Pace
from kubesim.http.port_forward import PROTOCOL, PortForward
from kubesim.http.proxying import proxied
from kubesim.http.statuses import TEXT_TYPE, method_not_allowed
from kubesim.http.targets import Target
from kubesim.http.unserved import subresource_not_served
from kubesim.programs.plain import WaitingShell

STREAMS: Final = ("attach", "exec", "log", "portforward", "proxy")


@final
class Streaming:
    """Looks into containers."""

    def __init__(self, server: ApiServer, data_plane: DataPlane, pace: Pace) -> None:
        self._server = server
        self._containers = Containers(data_plane)
        self._bridge = Bridge(data_plane.fabric, API_SERVER_IP, pace)
        self._pace = pace

    async def answer(self, request: web.BaseRequest, target: Target, query: Mapping[str, str]) -> web.StreamResponse:
        """The answer to a request on one of `STREAMS`.

        Raises:
            ApiError: 400, 404 or 405, or 501 for what is not served.
        """
        if target.subresource not in target.kind.subresources or target.kind is NODE:
            raise subresource_not_served(target.kind, target.subresource)
        if target.subresource == "proxy":
            body = await request.read()
            query_text = request.raw_path.partition("?")[2]
            return await proxied(self._server, self._bridge, target, request.method, query_text, body)
        pod = self._server.existing(target.kind, target.namespace, target.name)
        if target.subresource == "log":
            if request.method != "GET":
                raise method_not_allowed()
            return await self._log(request, pod, query)
        if target.subresource == "portforward":
            return await self._forward(request, pod)
        return await self._channels(request, pod, attaches=target.subresource == "attach")

    async def _log(self, request: web.BaseRequest, pod: Object, query: Mapping[str, str]) -> web.StreamResponse:
        options = read_log_options(query, self._server.loop.now_ns)
        output = self._containers.output(pod, options.container, previous=options.previous)
        process, body = output.process, written(output.lines, options)
        headers = CIMultiDict({"Content-Type": TEXT_TYPE, "Cache-Control": "no-cache, private"})
        if not options.follow or process is None:
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        # Counted now: lines may come while the reader takes what there is.
        chunks = followed(process, process.written, options, len(body))
        await response.prepare(request)
        if body:
            await response.write(body)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _channels(self, request: web.BaseRequest, pod: Object, *, attaches: bool) -> web.StreamResponse:
        pairs = parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True)
        options = read_exec_options(pairs)
        process = self._containers.process(pod, options.container)
        _check_upgrade(request, PROTOCOLS)
        if not attaches and not options.command:
            raise bad_request("you must specify a command")
        channels = Channels(request, options)
        if not attaches:
            return await channels.run(process, options.command, self._pace)
        if isinstance(process.program, WaitingShell):
            return await channels.take_over(process, self._pace)
        return await channels.show(process)

    async def _forward(self, request: web.BaseRequest, pod: Object) -> web.StreamResponse:
        _check_upgrade(request, (PROTOCOL,))
        ip, name = (pod.get("status") or {}).get("podIP"), pod["metadata"]["name"]
        if not ip:
            raise bad_request(f"pod {name} does not have a host assigned")
        return await PortForward(request, self._bridge, ip, name).run()


def _check_upgrade(request: web.BaseRequest, protocols: Sequence[str]) -> None:
    """Raise 400 where the client does not ask for a websocket with one of these protocols."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise bad_request("unable to upgrade: kubesim speaks websockets here, not SPDY")
    wanted = request.headers.get("Sec-WebSocket-Protocol", "")
    if not any(protocol.strip() in protocols for protocol in wanted.split(",")):
        raise bad_request(f"unable to upgrade: the protocols are {', '.join(protocols)}")
