"""What the API answers, against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import gzip
import re

import pytest
from running import VEHICLE, open_pool, serving, vehicle

ETAG_1 = '"1"'


@pytest.fixture
def environment(emptied_environment):
    """All tests here share a database; each finds it empty."""
    return emptied_environment


async def create(client, document=VEHICLE, **headers):
    """The document and headers of a vehicle that is created."""
    async with client.post("/api/vehicles", json=document, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json(), answer.headers


async def assert_problem(answer, status, detail=""):
    """The answer is a problem document of this status; returns it."""
    assert answer.status == status, await answer.text()
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = await answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert re.search(detail, problem["detail"]), problem["detail"]
    return problem


async def test_a_vehicle_lives_its_life(environment):
    """Created, read, replaced, patched, deleted, gone; with an ETag that changes with each write."""
    async with serving(environment) as client:
        made, headers = await create(client)
        where = headers["Location"]
        assert headers["ETag"] == ETAG_1
        assert {**made, **VEHICLE} == made
        assert made["created_at"] == made["updated_at"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["created_at"])
        async with client.get(where) as answer:
            assert (answer.status, await answer.json(), answer.headers["ETag"]) == (200, made, ETAG_1)
        new = {"vin": "WVWZZZ1JZXW000001", "make": "VW", "model": "Golf", "year": 1999}
        async with client.put(where, json=new, headers={"If-Match": ETAG_1}) as answer:
            replaced = await answer.json()
            assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
            assert replaced["licence_plate"] is None
            assert (replaced["mileage"], replaced["status"]) == (0, "active")
            assert (replaced["id"], replaced["created_at"]) == (made["id"], made["created_at"])
            assert replaced["updated_at"] > made["updated_at"]
        patch = {"mileage": 9, "licence_plate": "B-1"}
        async with client.patch(where, json=patch, headers={"If-Match": '"2"'}) as answer:
            assert (answer.status, answer.headers["ETag"]) == (200, '"3"')
            assert await answer.json() == {**replaced, **patch, "updated_at": (await answer.json())["updated_at"]}
        headers = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
        async with client.patch(where, data=b'{"licence_plate": null}', headers=headers) as answer:
            assert (answer.status, (await answer.json())["licence_plate"]) == (200, None)
        async with client.delete(where, headers={"If-Match": '"4"'}) as answer:
            assert (answer.status, await answer.read()) == (204, b"")
        async with client.get(where) as answer:
            await assert_problem(answer, 404, "no such vehicle")
        async with client.delete(where, headers={"If-Match": "*"}) as answer:
            await assert_problem(answer, 404)


async def test_the_caller_who_has_it_gets_304(environment):
    """If-None-Match compares weakly and saves the body."""
    async with serving(environment) as client:
        _, headers = await create(client)
        for known, status in ((ETAG_1, 304), ('W/"1"', 304), ("*", 304), ('"0"', 200), ("1", 200)):
            async with client.get(headers["Location"], headers={"If-None-Match": known}) as answer:
                assert answer.status == status, known
                assert bool(await answer.read()) == (status == 200)


async def test_a_lost_update_is_refused(environment):
    """Of ten writers who read the same version, one wins and nine are told."""
    async with serving(environment) as client:
        _, headers = await create(client)
        where = headers["Location"]

        async def write(number):
            async with client.patch(where, json={"mileage": number}, headers={"If-Match": ETAG_1}) as answer:
                if answer.status == 409:
                    await assert_problem(answer, 409, 'is at "2" now')
                    assert answer.headers["ETag"] == '"2"'
                return answer.status

        statuses = await asyncio.gather(*(write(number) for number in range(10)))

        assert sorted(statuses) == [200] + [409] * 9


async def test_any_version_will_do_if_the_caller_says_so(environment):
    """With `If-Match: *` ten writers at once all succeed, one after another."""
    async with serving(environment) as client:
        _, headers = await create(client)

        async def write(number):
            async with client.patch(headers["Location"], json={"mileage": number}, headers={"If-Match": "*"}) as answer:
                return answer.headers["ETag"]

        assert sorted(await asyncio.gather(*(write(number) for number in range(8)))) == [f'"{n}"' for n in range(2, 10)]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
async def test_a_change_needs_the_version_it_was_made_for(environment, method):
    """Without If-Match 428, with a strange one 400, with an old one 409; nothing is changed."""
    async with serving(environment) as client:
        made, headers = await create(client)
        where, body = headers["Location"], {} if method == "delete" else {"json": VEHICLE}
        async with client.request(method, where, **body) as answer:
            await assert_problem(answer, 428, "If-Match")
        async with client.request(method, where, headers={"If-Match": "7"}, **body) as answer:
            await assert_problem(answer, 400, "double quotes")
        async with client.request(method, where, headers={"If-Match": '"7"'}, **body) as answer:
            await assert_problem(answer, 409, 'is at "1" now')
        async with client.get(where) as answer:
            assert await answer.json() == made


async def test_a_vin_belongs_to_one_vehicle(environment):
    """Creating, replacing and patching into a VIN that is taken gives 409 and says whose it is."""
    async with serving(environment) as client:
        first, _ = await create(client, vehicle(1))
        _, headers = await create(client, vehicle(2))
        where, match = headers["Location"], {"If-Match": "*"}
        for answering in (
            client.post("/api/vehicles", json=vehicle(1)),
            client.put(where, json=vehicle(1), headers=match),
            client.patch(where, json={"vin": first["vin"]}, headers=match),
        ):
            async with answering as answer:
                problem = await assert_problem(answer, 409, first["vin"])
                assert problem["vehicle"] == f"/api/vehicles/{first['id']}"


async def test_a_key_creates_one_vehicle(environment):
    """The same key and body, ten times at once and again after a change: one vehicle, one answer."""
    async with serving(environment) as client:
        key = {"Idempotency-Key": "order-7"}
        answers = await asyncio.gather(*(create(client, VEHICLE, **key) for _ in range(8)))
        made = answers[0][0]
        assert [document for document, _ in answers] == [made] * 8
        assert sum("Idempotent-Replayed" not in headers for _, headers in answers) == 1
        async with client.delete(f"/api/vehicles/{made['id']}", headers={"If-Match": "*"}) as answer:
            assert answer.status == 204

        again, headers = await create(client, VEHICLE, **key)

        assert again == made
        assert headers["Idempotent-Replayed"] == "true"
        assert (headers["ETag"], headers["Location"]) == (ETAG_1, f"/api/vehicles/{made['id']}")


async def test_a_key_is_for_one_body(environment):
    """The same key with another body is a mistake of the caller's; a failed creation does not use a key up."""
    async with serving(environment) as client:
        await create(client, vehicle(1), **{"Idempotency-Key": "a"})
        async with client.post("/api/vehicles", json=vehicle(2), headers={"Idempotency-Key": "a"}) as answer:
            problem = await assert_problem(answer, 422, "used before")
            assert problem["errors"][0]["field"] == "Idempotency-Key"
        async with client.post("/api/vehicles", json=vehicle(1), headers={"Idempotency-Key": "b"}) as answer:
            await assert_problem(answer, 409)
        await create(client, vehicle(2), **{"Idempotency-Key": "b"})
        async with client.post("/api/vehicles", json=vehicle(3), headers={"Idempotency-Key": "x" * 129}) as answer:
            await assert_problem(answer, 400, "Idempotency-Key")


async def test_a_key_is_forgotten_after_a_day(environment):
    """Then the same key may create another vehicle, whether or not the hourly cleaning came by."""
    async with serving(environment) as client, open_pool(environment) as pool:
        await create(client, vehicle(1), **{"Idempotency-Key": "a"})
        age = "UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'"
        await pool.fetch(age, is_idempotent=False)

        made, headers = await create(client, vehicle(2), **{"Idempotency-Key": "a"})

        assert made["vin"] == vehicle(2)["vin"]
        assert "Idempotent-Replayed" not in headers


async def test_pages_hold_every_vehicle_once(environment):
    """In order of creation, whatever is added, changed or deleted meanwhile; the cursor ends with the list."""
    async with serving(environment) as client:
        vins = [(await create(client, vehicle(number)))[0]["vin"] for number in range(7)]
        seen, where = [], "/api/vehicles?limit=3"
        while where:
            async with client.get(where) as answer:
                page = await answer.json()
                following = answer.links.get("next")
            seen += [item["vin"] for item in page["items"]]
            assert bool(page["next"]) == bool(following)
            where = str(following["url"].relative()) if following else ""
            if len(seen) == 3:
                async with client.delete(f"/api/vehicles/{page['items'][0]['id']}", headers={"If-Match": "*"}):
                    await create(client, vehicle(7))

        assert seen == [*vins, vehicle(7)["vin"]]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        pytest.param("", [0, 1, 2, 3], id="all"),
        pytest.param("status=retired", [1, 3], id="by status"),
        pytest.param("status=retired&year=2001", [1], id="by two"),
        pytest.param("make=M%26M%20%27%3B--", [2], id="a make that is no SQL"),
        pytest.param("vin=WVW00000000000003", [3], id="by VIN"),
        pytest.param("licence_plate=B-0", [0], id="by plate"),
        pytest.param("model=Nothing", [], id="nothing fits"),
    ],
)
async def test_filters_choose(environment, query, numbers):
    """Each one narrows the list; text is compared exactly."""
    async with serving(environment) as client:
        for number in range(4):
            make = "M&M ';--" if number == 2 else "VW"
            status = "retired" if number % 2 else "active"
            await create(client, vehicle(number, year=2000 + number, make=make, status=status))

        async with client.get(f"/api/vehicles?{query}") as answer:
            page = await answer.json()

        assert [item["vin"] for item in page["items"]] == [vehicle(number)["vin"] for number in numbers]
        assert page["next"] is None


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        pytest.param("limit=0", "'limit'.*greater", id="no limit of nothing"),
        pytest.param("limit=201", "'limit'.*less", id="no limit without end"),
        pytest.param("colour=red", "'colour'", id="an unknown filter"),
        pytest.param("year=2001&year=2002", "'year' is given twice", id="a filter twice"),
        pytest.param("status=stolen", "'status'", id="an unknown status"),
        pytest.param("vin=x", "'vin'", id="what cannot be a VIN"),
        pytest.param("cursor=x", "'cursor'", id="what is no cursor"),
        pytest.param("make=%00", "'make'", id="a NUL"),
        pytest.param("make=%ff", "", id="what is no UTF-8"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(environment, query, detail):
    """400, naming the parameter; what is no text at all may also just match nothing."""
    async with serving(environment) as client, client.get(f"/api/vehicles?{query}") as answer:
        if detail:
            await assert_problem(answer, 400, detail)
        else:
            assert answer.status in (200, 400)


@pytest.mark.parametrize(
    ("send", "status", "detail"),
    [
        pytest.param({"data": b"{", "json_type": True}, 400, "no JSON", id="half a document"),
        pytest.param({"data": b"", "json_type": True}, 400, "no JSON", id="no document"),
        pytest.param({"data": b'{"vin": NaN}', "json_type": True}, 400, "no JSON", id="NaN"),
        pytest.param({"data": b'{"make": "\\ud800"}', "json_type": True}, 400, "no JSON", id="half a character"),
        pytest.param({"data": b"[" * 60_000, "json_type": True}, 400, "no JSON", id="very deep"),
        pytest.param({"data": b"\xff", "json_type": True}, 400, "no JSON", id="no UTF-8"),
        pytest.param({"json": {**VEHICLE, "year": 1}}, 422, "year: ", id="a wrong field"),
        pytest.param({"json": []}, 422, "", id="a list"),
        pytest.param({"data": b"vin=1", "headers": {"Content-Type": "text/plain"}}, 415, "application/json", id="text"),
        pytest.param({"data": b"{}", "headers": {"Content-Type": ""}}, 415, "application/json", id="no type"),
        pytest.param({"json": {"make": "x" * 70_000}}, 413, "large", id="too large"),
    ],
)
async def test_a_bad_body_is_told_so(environment, send, status, detail):
    """With the status that says whose fault it is."""
    if send.pop("json_type", False):
        send["headers"] = {"Content-Type": "application/json"}
    async with serving(environment) as client, client.post("/api/vehicles", **send) as answer:
        await assert_problem(answer, status, detail)


async def test_a_body_that_grows_when_unpacked_is_too_large(environment):
    """Ten megabytes of zeros are ten kilobytes on the wire."""
    async with serving(environment) as client:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        async with client.post("/api/vehicles", data=gzip.compress(b"0" * 10_000_000), headers=headers) as answer:
            await assert_problem(answer, 413)
        async with client.post("/api/vehicles", data=b"no gzip", headers=headers) as answer:
            await assert_problem(answer, 400)


async def test_every_wrong_field_is_in_the_answer(environment):
    """422 has one entry for each."""
    async with serving(environment) as client:
        async with client.post("/api/vehicles", json={"vin": "1HGCM82643A004352", "year": "x"}) as answer:
            problem = await assert_problem(answer, 422, "4 fields are wrong")
        assert sorted(error["field"] for error in problem["errors"]) == ["make", "model", "vin", "year"]
        assert any("must be 3, not 4" in error["detail"] for error in problem["errors"])


@pytest.mark.parametrize("patch", ["[]", "7", "null", '{"vin": null}', '{"id": "x"}', '{"make": {"a": 1}}'])
async def test_a_patch_must_leave_a_vehicle(environment, patch):
    """What comes of it is checked as a whole, and nothing is changed if it fails."""
    async with serving(environment) as client:
        made, headers = await create(client)
        send = {"If-Match": "*", "Content-Type": "application/merge-patch+json"}
        async with client.patch(headers["Location"], data=patch, headers=send) as answer:
            await assert_problem(answer, 422)
        async with client.get(headers["Location"]) as answer:
            assert await answer.json() == made


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nothing", 404, id="no such path"),
        pytest.param("GET", "/api/vehicles/", 404, id="a slash too many"),
        pytest.param("GET", "/api/vehicles/7", 404, id="no such vehicle"),
        pytest.param("GET", "/api/vehicles/%00", 404, id="a NUL"),
        pytest.param("GET", "/api/vehicles/{00000000-0000-0000-0000-000000000000}", 404, id="another spelling"),
        pytest.param("DELETE", "/api/vehicles", 405, id="not the whole fleet"),
        pytest.param("TRACE", "/api/vehicles", 405, id="TRACE"),
        pytest.param("POST", "/healthz", 405, id="a probe that posts"),
        pytest.param("PROPFIND", "/", 405, id="a method of somebody else's"),
    ],
)
async def test_other_paths_and_methods_are_problems_too(environment, method, path, status):
    """405 says what is allowed."""
    async with serving(environment) as client, client.request(method, path) as answer:
        await assert_problem(answer, status)
        assert ("Allow" in answer.headers) == (status == 405)


async def test_an_answer_names_its_request_and_its_pod(environment):
    """A request id that the caller gives is kept if it is harmless."""
    async with serving(environment) as client:
        async with client.get("/healthz", headers={"X-Request-ID": "from-the-gateway:7"}) as answer:
            assert answer.headers["X-Request-ID"] == "from-the-gateway:7"
            assert answer.headers["X-Pod"] == "pod-under-test"
        async with client.get("/healthz", headers={"X-Request-ID": "<script>"}) as answer:
            assert re.fullmatch("[0-9a-f]{16}-[0-9]+", answer.headers["X-Request-ID"])


async def test_metrics_count_by_pattern(environment):
    """Requests by route and status, connections by state; not by vehicle, of which there are many."""
    async with serving(environment) as client:
        await create(client)
        for path in ("/api/vehicles/1", "/api/vehicles/2", "/wp-login.php"):
            async with client.get(path) as answer:
                assert answer.status == 404
        async with client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            lines = (await answer.text()).splitlines()

    assert 'vehicle_api_requests_total{method="GET",route="/api/vehicles/{id}",status="404"} 2.0' in lines
    assert 'vehicle_api_requests_total{method="GET",route="(none)",status="404"} 1.0' in lines
    assert 'vehicle_api_requests_total{method="POST",route="/api/vehicles",status="201"} 1.0' in lines
    assert 'vehicle_api_db_connections{state="lent"} 0.0' in lines
    assert "vehicle_api_db_up 1.0" in lines
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)
