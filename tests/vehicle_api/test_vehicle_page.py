"""The page at `/`, as it is sent and as a browser shows it."""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil

import pytest
from running import VEHICLE, serving, vehicle

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ATTACK = "<img src=x onerror=alert(1)>"


async def test_the_page_shows_the_fleet_and_the_pod(emptied_environment):
    """Without a script, as it arrives; whatever a vehicle is called, it is text."""
    async with serving({**emptied_environment, "POD_NAME": "<pod>"}) as client:
        async with client.post("/api/vehicles", json={**VEHICLE, "model": ATTACK}) as answer:
            assert answer.status == 201
        async with client.get("/") as answer:
            page = await answer.text()
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]

    assert VEHICLE["vin"] in page
    assert html.escape(ATTACK) in page
    assert ATTACK not in page
    assert "&lt;pod&gt;" in page
    assert ">1 vehicle<" in page
    assert re.findall(r'(?:src|href)="(?!data:)|url\(|https?:', page) == [], "something from elsewhere"


async def test_without_a_database_the_page_says_so(emptied_environment, postgres):
    """503, but a page all the same: it goes on asking by itself."""
    async with serving(emptied_environment) as client:
        postgres.kill()
        async with client.get("/") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert "the database is away" in await answer.text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
async def test_a_browser_runs_the_page(emptied_environment, tmp_path):
    """Its policy lets its own style and script run; the script asks the API again and shows what is new."""
    async with serving(emptied_environment) as client:
        for number in range(3):
            async with client.post("/api/vehicles", json=vehicle(number, model=ATTACK)) as answer:
                assert answer.status == 201
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
        options = [f"--user-data-dir={tmp_path}", "--virtual-time-budget=3000", "--enable-logging=stderr"]
        process = await asyncio.create_subprocess_exec(
            *command,
            *options,
            str(client.make_url("/")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        shown, said = (output.decode() for output in await process.communicate())

    assert re.search(r'<li class="last">pod-under-test: [2-9]</li>', shown), shown + said
    assert re.search('<p id="state" role="status">3 vehicles</p>', shown), shown
    assert re.findall("<td>(WVW[0-9]+)</td>", shown) == [vehicle(number)["vin"] for number in range(3)]
    assert shown.count(html.escape(ATTACK, quote=False)) == 3
    assert "CONSOLE" not in said, said
