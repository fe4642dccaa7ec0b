"""The headers that a probe or a hook sends with its HTTP request. Upstream: pkg/probe/http/request.go @v1.36"""

from __future__ import annotations

from collections.abc import Mapping

from kubesim.api.objects import Object


def http_headers(action: Object, agent: str) -> Mapping[str, str]:
    """What an `httpGet` asks for goes before what every such request has."""
    own = {item["name"]: item["value"] for item in action.get("httpHeaders") or ()}
    return {"User-Agent": agent, "Accept": "*/*", **own}
