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

from postgres import PASSWORD, USER, Postgres, explain_missing

LIMIT_SECONDS = 30
_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run coroutine functions."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT_SECONDS))
    return True


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """One server for all tests of the process. Whoever kills it need not start it again: `postgres` does."""
    if reason := explain_missing():
        pytest.skip(reason)
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    if server.is_running:
        server.stop()


@pytest.fixture
def postgres(postgres_server):
    """The server, running."""
    if not postgres_server.is_running:
        postgres_server.start()
    return postgres_server


@pytest.fixture
def environment(postgres):
    """What the environment of a service says that has an empty database to itself."""
    import psycopg2

    name = f"test_{next(_numbers)}"
    admin = psycopg2.connect(host="127.0.0.1", port=postgres.port, user=USER, password=PASSWORD, dbname="postgres")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
    admin.close()
    return {**postgres.environment, "POSTGRES_DB": name, "POD_NAME": "pod-under-test", "LISTEN_HOST": "127.0.0.1"}
