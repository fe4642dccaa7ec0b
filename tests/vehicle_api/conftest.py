"""A real PostgreSQL for the service's tests, and the service before it.

A test may be a coroutine function; it then runs in a loop of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from patience import PatientLoop, be_patient
from postgres import PASSWORD, USER, Postgres, explain_missing

LIMIT_SECONDS = 300
_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run coroutine functions."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT_SECONDS))
    return True


@pytest.fixture(autouse=True)
def _patience():
    """On a machine with much else to do a statement may take seconds; only tests of deadlines have those."""
    with be_patient():
        yield


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """One server for all tests of the process. Whoever kills it need not start it again: `postgres` does."""
    if reason := explain_missing():
        pytest.skip(reason)
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def postgres(postgres_server):
    """The server, running."""
    if not postgres_server.is_running:
        postgres_server.start()
    return postgres_server


def _execute(postgres, database, statement, *parameters):
    import psycopg2

    connection = psycopg2.connect(host="127.0.0.1", port=postgres.port, user=USER, password=PASSWORD, dbname=database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
    connection.close()


def _environment(postgres, database):
    return {**postgres.environment, "POSTGRES_DB": database, "POD_NAME": "pod-under-test", "LISTEN_HOST": "127.0.0.1"}


@pytest.fixture
def environment(postgres):
    """What the environment of a service says that has a new database to itself."""
    name = f"test_{next(_numbers)}"
    _execute(postgres, "postgres", f"CREATE DATABASE {name} STRATEGY wal_log")
    return _environment(postgres, name)


@pytest.fixture(scope="session")
def shared_database(postgres_server):
    """A database with its schema in place."""
    from vehicle_api.migrations import STEPS

    if not postgres_server.is_running:
        postgres_server.start()
    _execute(postgres_server, "postgres", "CREATE DATABASE shared")
    _execute(postgres_server, "shared", "CREATE TABLE schema_steps (step integer PRIMARY KEY, at timestamptz NOT NULL)")
    for number, step in enumerate(STEPS, 1):
        _execute(postgres_server, "shared", step)
        _execute(postgres_server, "shared", "INSERT INTO schema_steps VALUES (%s, now())", number)
    return "shared"


@pytest.fixture
def emptied_environment(postgres, shared_database):
    """What the environment of a service says whose database has a schema and nothing in it."""
    _execute(postgres, shared_database, "TRUNCATE vehicles, idempotency_keys RESTART IDENTITY")
    return _environment(postgres, shared_database)
