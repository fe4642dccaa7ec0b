"""What the databases of a running stack hold, asked by PostgreSQL's own client."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from kubesim.errors import UserError
from kubesim.processes.images import find_postgres
from kubesim.processes.runtime import Container

_TIMEOUT_S: Final = 20


def rows_of(containers: Iterable[Container], table: str, column: str) -> Mapping[str, bool]:
    """The values of a column of a table in every PostgreSQL among the containers, as keys.

    Raises:
        UserError: one of them cannot be asked.
    """
    folder = find_postgres()
    found: dict[str, bool] = {}
    for container in containers:
        command = container.command
        if command is None or folder is None:
            continue
        environment = command.environment
        if "PGDATA" in environment and "POSTGRES_PASSWORD" in environment:
            found.update(dict.fromkeys(_ask(folder, command.ip, environment, table, column), True))
    return found


def _ask(folder: Path, ip: str, environment: Mapping[str, str], table: str, column: str) -> list[str]:
    user = environment.get("POSTGRES_USER") or "postgres"
    database = environment.get("POSTGRES_DB") or user
    words = [str(folder / "psql"), "-X", "-A", "-t", "-h", ip, "-U", user, "-d", database]
    words += ["-c", f"SELECT {column} FROM {table}"]  # noqa: S608 - names of our own
    secret = {"PGPASSWORD": environment["POSTGRES_PASSWORD"], "PGCONNECT_TIMEOUT": "5", "PATH": "/usr/bin:/bin"}
    try:
        done = subprocess.run(words, env=secret, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        why = getattr(error, "stderr", "") or str(error)
        if "does not exist" in why:
            return []  # nobody has written anything yet
        raise UserError(f"the database at {ip} cannot be asked for its rows: {why.strip()}") from error
    return done.stdout.split()
