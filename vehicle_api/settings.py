"""Settings from the environment, read once. Names that Kubernetes sets for a Service called `postgres` are understood.

No name begins with VEHICLE_API_: Kubernetes sets variables of that form for the service itself.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

HELP = """\
POSTGRES_HOST       the database's name, address or socket folder; else POSTGRES_SERVICE_HOST, else `postgres`
POSTGRES_PORT       its port (5432); `tcp://10.96.0.7:5432`, as Kubernetes sets it, is understood
POSTGRES_DB         the database (vehicles)
POSTGRES_USER       who connects (vehicles)
POSTGRES_PASSWORD   the password; without one, none is sent
LISTEN_HOST         the address to listen on (0.0.0.0)
LISTEN_PORT         the port to listen on (8080)
LOG_LEVEL           debug, info, warning or error (info)
POD_NAME            who answers, for logs and answers (the host's name, which is the Pod's)
"""

_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """A setting that cannot be right; one line that names it and says what would be."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is and who connects. The password shows in no repr."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one process of the service is told."""

    database: DatabaseSettings
    listen_host: str
    listen_port: int
    log_level: int
    pod: str


def _port(name: str, text: str, minimum: int) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and minimum <= int(text) <= 65535:
        return int(text)
    raise SettingsError(f"{name} must be a port from {minimum} to 65535, not {text!r}")


def _database(env: Mapping[str, str]) -> DatabaseSettings:
    port = env.get("POSTGRES_PORT") or env.get("POSTGRES_SERVICE_PORT") or "5432"
    host = env.get("POSTGRES_HOST") or env.get("POSTGRES_SERVICE_HOST") or ""
    if link := re.fullmatch(r"tcp://\[?([^/\]]+)\]?:([^:]+)", port):
        host, port = host or link[1], link[2]
    host = host or "postgres"
    if not (host.startswith("/") or re.fullmatch(r"[A-Za-z0-9_.:%-]{1,253}", host)):
        raise SettingsError(f"POSTGRES_HOST must be a host's name, an address or a socket folder, not {host!r}")
    for name in ("POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"):
        if "\0" in env.get(name, ""):
            raise SettingsError(f"{name} must not hold a NUL character")
    return DatabaseSettings(
        host=host,
        port=_port("POSTGRES_PORT", port, 1),
        name=env.get("POSTGRES_DB") or "vehicles",
        user=env.get("POSTGRES_USER") or "vehicles",
        password=env.get("POSTGRES_PASSWORD", ""),
    )


def read_settings(env: Mapping[str, str]) -> Settings:
    """The settings that an environment holds; an empty variable counts as unset.

    Raises:
        SettingsError: one of them cannot be right.
    """
    level = (env.get("LOG_LEVEL") or "info").lower()
    if level not in _LEVELS:
        raise SettingsError(f"LOG_LEVEL must be one of {', '.join(_LEVELS)}, not {level!r}")
    return Settings(
        database=_database(env),
        listen_host=env.get("LISTEN_HOST") or "0.0.0.0",  # noqa: S104 - the Pod's own network is the boundary
        listen_port=_port("LISTEN_PORT", env.get("LISTEN_PORT") or "8080", 0),
        log_level=logging.getLevelNamesMapping()[level.upper()],
        pod=env.get("POD_NAME") or env.get("HOSTNAME") or socket.gethostname(),
    )
