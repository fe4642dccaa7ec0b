"""`python -m vehicle_api` as a process: signals, exit codes, settings, and what it prints."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys

import aiohttp
import pytest
from running import ROOT, VEHICLE, child, open_pool, until_ready

from vehicle_api.settings import SettingsError, read_settings


async def test_sigterm_finishes_what_is_in_flight(emptied_environment):
    """The process is not ready at once, answers what it has begun, says goodbye on open connections, and exits 0."""
    body = json.dumps(VEHICLE).encode()
    head = f"POST /api/vehicles HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with child(emptied_environment) as service:
        await until_ready(service.get)
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head.encode() + body[:10])
        await until_in_flight(service, 2)
        service.process.send_signal(signal.SIGTERM)
        await service.until_printed("stopping")
        async with service.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["detail"] == "shutting down"
            assert answer.headers["Connection"] == "close"
        writer.write(body[10:])

        answer = (await reader.read()).decode()

        assert answer.startswith("HTTP/1.1 201 ")
        assert "Connection: close" in answer
        assert await service.wait() == 0
        assert [line["message"] for line in service.lines if line["message"] != "answered"][-2:] == [
            "stopping",
            "stopped",
        ]
        writer.close()


async def until_in_flight(service, number):
    """Wait until so many requests are being answered, the one that asks among them."""
    while True:
        async with service.get("/metrics") as answer:
            if f"vehicle_api_requests_in_flight {number}.0" in await answer.text():
                return
        await asyncio.sleep(0.01)


async def fetch(service, path):
    """Status and document of one answer."""
    async with service.get(path) as answer:
        return answer.status, await answer.json()


async def test_control_c_ends_it_even_without_a_database(emptied_environment, postgres):
    """Nothing to wait for but the time to be taken out of the Service."""
    postgres.kill()
    async with child(emptied_environment) as service:
        await service.until_printed("database is away")
        service.process.send_signal(signal.SIGINT)

        assert await service.wait() == 0


async def test_no_secret_is_printed(environment, postgres):
    """At the most talkative level, with a database that refuses, dies and breaks; every line is a JSON object."""
    secret = "s3cret-that-is-wrong"
    async with child({**environment, "LOG_LEVEL": "debug", "POSTGRES_PASSWORD": secret}) as refused:
        await refused.until_printed("password authentication failed")
    async with child({**environment, "LOG_LEVEL": "debug"}) as service, open_pool(environment) as pool:
        await until_ready(service.get)
        await pool.fetch("ALTER TABLE vehicles DROP COLUMN status CASCADE", is_idempotent=False)
        assert (await fetch(service, "/api/vehicles"))[0] == 500
        postgres.kill()
        assert (await fetch(service, "/api/vehicles"))[0] == 503
        await service.until_printed("database is away")

    assert b"UndefinedColumn" in service.printed
    for printed, lines in ((refused.printed, refused.lines), (service.printed, service.lines)):
        assert secret.encode() not in printed
        assert environment["POSTGRES_PASSWORD"].encode() not in printed
        assert all(line["pod"] == "pod-under-test" and line["time"] and line["level"] for line in lines)


async def test_a_request_can_be_found_in_the_log(emptied_environment):
    """By the id that the caller gave or was given."""
    async with child(emptied_environment) as service:
        await until_ready(service.get)
        url = f"http://127.0.0.1:{service.port}/api/vehicles"
        async with service.session.post(url, json=VEHICLE, headers={"X-Request-ID": "find-me"}) as answer:
            assert answer.status == 201
        await service.until_printed("find-me")

        [line] = [line for line in service.lines if line.get("request_id") == "find-me"]
        assert {"level": "info", "method": "POST", "path": "/api/vehicles", "status": 201}.items() <= line.items()


async def test_kubernetes_own_variables_are_enough(emptied_environment):
    """With a Service called postgres in the namespace, and no POSTGRES_HOST."""
    port = emptied_environment["POSTGRES_PORT"]
    changed = {"POSTGRES_HOST": "", "POSTGRES_SERVICE_HOST": "127.0.0.1", "POSTGRES_PORT": f"tcp://127.0.0.1:{port}"}
    async with child({**emptied_environment, **changed}) as service:
        await until_ready(service.get)

        assert (await fetch(service, "/api/vehicles"))[0] == 200


async def test_the_health_check_of_the_image_asks_for_readiness(emptied_environment):
    """Exit 0 from a ready service, 1 from none."""
    async with child(emptied_environment) as service:
        await until_ready(service.get)
        codes = []
        for port in (service.port, 1):
            command = (sys.executable, "-m", "vehicle_api.healthcheck")
            check = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={"LISTEN_PORT": str(port)})
            codes.append(await check.wait())

        assert codes == [0, 1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"POSTGRES_PORT": "many"}, "POSTGRES_PORT must be a port from 1 to 65535, not 'many'", id="port"),
        pytest.param({"POSTGRES_PORT": "65536"}, "POSTGRES_PORT must be a port", id="a port too high"),
        pytest.param({"POSTGRES_PORT": "udp://1.2.3.4:1"}, "POSTGRES_PORT must be a port", id="another protocol"),
        pytest.param({"POSTGRES_HOST": "a b"}, "POSTGRES_HOST must be a host's name", id="host"),
        pytest.param({"LISTEN_PORT": "http"}, "LISTEN_PORT must be a port from 0", id="port to listen on"),
        pytest.param({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be one of debug, info, warning, error", id="level"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(changed, said):
    """In one line that says what would be right."""
    with pytest.raises(SettingsError) as caught:
        read_settings(changed)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def run(environment):
    """The service, started and ended, with its output."""
    command = [sys.executable, "-m", "vehicle_api"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_wrong_setting_ends_the_process_with_2():
    """One line on standard error, nothing else."""
    done = run({"POSTGRES_PORT": "many", "POSTGRES_PASSWORD": "hidden"})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vehicle_api: POSTGRES_PORT must be a port from 1 to 65535, not 'many'\n"


def test_a_port_that_is_taken_ends_the_process_with_2():
    """It says which, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run({"POSTGRES_HOST": "127.0.0.1", "LISTEN_HOST": "127.0.0.1", "LISTEN_PORT": port})

    assert done.returncode == 2
    expected = (
        f"vehicle_api: cannot listen on 127.0.0.1:{port} (Address already in use): set LISTEN_HOST and LISTEN_PORT"
    )
    assert done.stderr.splitlines() == [expected]


def test_the_password_shows_in_no_repr():
    """Whoever logs the settings logs no secret."""
    assert "hidden" not in repr(read_settings({"POSTGRES_PASSWORD": "hidden"}))


@pytest.mark.parametrize(
    ("environment", "host", "port"),
    [
        pytest.param({}, "postgres", 5432, id="nothing set"),
        pytest.param(
            {"POSTGRES_SERVICE_HOST": "10.0.0.7", "POSTGRES_SERVICE_PORT": "6432"}, "10.0.0.7", 6432, id="Service"
        ),
        pytest.param({"POSTGRES_PORT": "tcp://10.0.0.7:6432"}, "10.0.0.7", 6432, id="the Service's link"),
        pytest.param({"POSTGRES_PORT": "tcp://[fd00::7]:6432"}, "fd00::7", 6432, id="the link in IPv6"),
        pytest.param(
            {"POSTGRES_HOST": "db", "POSTGRES_PORT": "tcp://10.0.0.7:6432"}, "db", 6432, id="a name and the link"
        ),
        pytest.param({"POSTGRES_HOST": "db", "POSTGRES_SERVICE_HOST": "10.0.0.7"}, "db", 5432, id="a name wins"),
    ],
)
def test_where_the_database_is(environment, host, port):
    """Our own names first, then those that Kubernetes sets."""
    database = read_settings(environment).database

    assert (database.host, database.port) == (host, port)


async def test_what_is_no_http_is_no_trouble(emptied_environment):
    """A port scanner gets 400 and the service goes on."""
    async with child(emptied_environment) as service:
        await until_ready(service.get)
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 400")
        writer.close()

        assert (await fetch(service, "/healthz"))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await service.session.get(f"https://127.0.0.1:{service.port}/")
