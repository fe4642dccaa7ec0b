"""What the official image's entrypoint does, for PostgreSQL's programs on PATH. Runs alone, imports nothing of ours.

An empty PGDATA becomes a database cluster with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB; then this process
becomes the server. It listens on KUBESIM_LISTEN only and has no Unix socket: folders for one are not ours to write to.
Upstream: docker-library/postgres docker-entrypoint.sh
"""

from __future__ import annotations

import os
import subprocess
import sys

_SERVER = ("postgres", "-c", "logging_collector=off", "-c", "unix_socket_directories=")


def _fail(text: str) -> None:
    sys.stderr.write(f"Error: {text}\n")
    sys.exit(1)


def _initialise(data: str) -> None:
    user = os.environ.get("POSTGRES_USER") or "postgres"
    password = os.environ.get("POSTGRES_PASSWORD", "")
    database = os.environ.get("POSTGRES_DB") or user
    trust = os.environ.get("POSTGRES_HOST_AUTH_METHOD") == "trust"
    if not password and not trust:
        _fail("Database is uninitialized and superuser password is not specified.")
    words = ["initdb", "--no-sync", "-D", data, "-U", user, "-E", "UTF8", "--no-locale", "-A", "trust" if trust else "scram-sha-256"]
    words += os.environ.get("POSTGRES_INITDB_ARGS", "").split()
    reader, writer = os.pipe()
    os.write(writer, f"{password}\n".encode())
    os.close(writer)
    if password:
        words.append(f"--pwfile=/dev/fd/{reader}")
    subprocess.run(words, check=True, pass_fds=(reader,))  # noqa: S603
    os.close(reader)
    with open(os.path.join(data, "pg_hba.conf"), "a", encoding="utf-8") as rules:  # noqa: PTH118, PTH123
        rules.write(f"\nhost all all all {'trust' if trust else 'scram-sha-256'}\n")
    if database != "postgres":
        quoted = database.replace('"', '""')
        single = ["postgres", "--single", "-F", "-j", "-D", data, "postgres"]
        subprocess.run(single, input=f'CREATE DATABASE "{quoted}" STRATEGY FILE_COPY\n'.encode(), check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def main() -> None:
    """Prepare the data folder if it is empty, and become the server."""
    data = os.environ["PGDATA"]
    os.makedirs(data, mode=0o700, exist_ok=True)  # noqa: PTH103
    os.chmod(data, 0o700)  # noqa: PTH101
    if not os.path.exists(os.path.join(data, "PG_VERSION")):  # noqa: PTH110, PTH118
        try:
            _initialise(data)
        except subprocess.CalledProcessError as error:
            _fail(f"{error.cmd[0]} ended with exit code {error.returncode}")
    words = [*_SERVER, "-c", f"listen_addresses={os.environ['KUBESIM_LISTEN']}", "-D", data, *sys.argv[1:]]
    os.execvp(words[0], words)  # noqa: S606


if __name__ == "__main__":
    main()
