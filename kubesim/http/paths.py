"""The paths beside resources: version, health, OpenAPI, and the list of them all.

Upstream: apiserver/pkg/server/{routes,healthz} @v1.36
"""

from __future__ import annotations

from typing import Final

from kubesim.http.discovery import answer as discover
from kubesim.http.discovery import group_versions
from kubesim.http.statuses import Reply, json, text

_HEALTH: Final = ("healthz", "livez", "readyz")
_CHECKS: Final = ("ping", "log", "etcd")
VERSION: Final = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.3+kubesim",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


def answer(path: str, query: str, accept: str, if_none_match: str, address: str) -> Reply | None:
    """The answer to a GET of a path that is no resource's, None where there is no such path."""
    found = discover(path, accept, if_none_match, address)
    if found is not None:
        return found
    parts = [part for part in path.split("/") if part]
    if not parts:
        return json({"paths": root_paths()})
    if parts == ["version"]:
        return json(VERSION)
    if parts[0] in _HEALTH:
        return _health(parts, query)
    if parts[0] == "openapi":
        from kubesim.http.openapi import answer as openapi

        return openapi(parts[1:], accept, if_none_match)
    return None


def _health(parts: list[str], query: str) -> Reply | None:
    if len(parts) == 1:
        if "verbose" in query:
            lines = "".join(f"[+]{check} ok\n" for check in _CHECKS)
            return text(f"{lines}{parts[0]} check passed\n")
        return text("ok")
    return text("ok") if len(parts) == 2 and parts[1] in _CHECKS else None


def root_paths() -> list[str]:
    """All paths that stand beside resources."""
    found = ["/api", "/api/v1", "/apis", "/apis/"]
    for group, versions in group_versions().items():
        if group:
            found += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
    for name in _HEALTH:
        found += [f"/{name}", *(f"/{name}/{check}" for check in _CHECKS)]
    return sorted([*found, "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"])
