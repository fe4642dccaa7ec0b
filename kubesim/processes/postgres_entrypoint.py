"""What the official image's entrypoint does, for PostgreSQL's programs on PATH. Runs alone, imports nothing of ours.

An empty PGDATA becomes a database cluster with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB; then this process
becomes the server. It listens on KUBESIM_LISTEN only and has no Unix socket: folders for one are not ours to write to.
Upstream: docker-library/postgres docker-entrypoint.sh
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

_PART = ".part"
_HAS_SYNCFS, _HAS_STRATEGY = 14, 15
_SERVER = ("postgres", "-c", "logging_collector=off", "-c", "unix_socket_directories=")


def _fail(text: str) -> None:
    sys.stderr.write(f"Error: {text}\n")
    sys.exit(1)


def _initdb(data: str) -> None:
    words = ["initdb", "--no-sync", "-D", data, "-U", "postgres", "-E", "UTF8", "--no-locale", "-A", "trust"]
    subprocess.run([*words, *os.environ.get("POSTGRES_INITDB_ARGS", "").split()], check=True)
    # Until here nobody could connect; from now on a password is asked for, unless the Pod says otherwise.
    rules = os.path.join(data, "pg_hba.conf")
    with open(rules, "w", encoding="utf-8") as file:
        file.write("local all all trust\n")


def _initialise(data: str) -> None:
    user = os.environ.get("POSTGRES_USER") or "postgres"
    password = os.environ.get("POSTGRES_PASSWORD", "")
    database = os.environ.get("POSTGRES_DB") or user
    trust = os.environ.get("POSTGRES_HOST_AUTH_METHOD") == "trust"
    if not password and not trust:
        _fail("Database is uninitialized and superuser password is not specified.")
    template = _template()
    if template and not os.environ.get("POSTGRES_INITDB_ARGS"):
        copy = ["cp", "-R", f"{template}/.", data]
        subprocess.run(copy, check=True)
    else:
        _initdb(data)
    rule = "trust" if trust else "scram-sha-256"
    with open(os.path.join(data, "pg_hba.conf"), "a", encoding="utf-8") as rules:
        rules.write(f"\nhost all all all {rule}\n")
    # The first superuser gets its name and password, and the database is made, before anybody can connect.
    statements = [f"UPDATE pg_authid SET rolname = {_quoted(user)} WHERE oid = 10"]  # noqa: S608
    if password:
        statements.append(f"ALTER ROLE {_quoted(user, chr(34))} PASSWORD {_quoted(password)}")
    if database != "postgres":
        statements.append(f"CREATE DATABASE {_quoted(database, chr(34))}{_strategy(data)}")
    single = [
        "postgres",
        "--single",
        "-F",
        "-O",
        "-D",
        data,
        "-c",
        "log_min_messages=fatal",
        "-c",
        "log_checkpoints=off",
        "postgres",
    ]
    text = "".join(f"{each}\n" for each in statements)
    subprocess.run(single, input=text.encode(), check=True, stdout=subprocess.DEVNULL)


def _quoted(text: str, mark: str = "'") -> str:
    if "\n" in text or "\\" in text:
        _fail("POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB must hold neither line breaks nor backslashes.")
    return f"{mark}{text.replace(mark, mark + mark)}{mark}"


def _strategy(data: str) -> str:
    """How to copy the template database: the quick way, where the version knows it."""
    return " STRATEGY FILE_COPY" if _version(data) >= _HAS_STRATEGY else ""


def _version(data: str) -> int:
    with open(os.path.join(data, "PG_VERSION"), encoding="ascii") as file:
        return int(file.read().partition(".")[0])


def _recovery(data: str) -> list[str]:
    """Before it recovers, the server makes sure that all of its folder is on the disk: at once, where the version can,
    and else file by file, of which there are a thousand, each with a wait for the disk."""
    return ["-c", "recovery_init_sync_method=syncfs"] if _version(data) >= _HAS_SYNCFS else []


def _template() -> str:
    """A prepared data folder, once it is complete; an empty text where there is none."""
    place = os.environ.get("KUBESIM_TEMPLATE", "")
    while place and os.path.isdir(f"{place}{_PART}"):
        time.sleep(0.02)
    return place if place and os.path.isdir(place) else ""


def prepare(place: str) -> None:
    """Make the template."""
    part = f"{place}{_PART}"
    os.makedirs(part, mode=0o700)
    try:
        _initdb(part)
        os.rename(part, place)
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(part, ignore_errors=True)


def main() -> None:
    """Prepare the data folder if it is empty, and become the server."""
    if sys.argv[1:2] == ["template"]:
        prepare(sys.argv[2])
        return
    data = os.environ["PGDATA"]
    os.makedirs(data, mode=0o700, exist_ok=True)
    os.chmod(data, 0o700)
    if not os.path.exists(os.path.join(data, "PG_VERSION")):
        try:
            _initialise(data)
        except subprocess.CalledProcessError as error:
            _fail(f"{error.cmd[0]} ended with exit code {error.returncode}")
    listen = ["-c", f"listen_addresses={os.environ['KUBESIM_LISTEN']}"]
    words = [*_SERVER, *listen, *_recovery(data), "-D", data, *sys.argv[1:]]
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
