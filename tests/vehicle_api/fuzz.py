"""python tests/vehicle_api/fuzz.py ST CASES: the service before a real PostgreSQL, against schemathesis (`st`).

Exit 0 if no answer was a 5xx but 503, and none was undocumented.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from postgres import Postgres
from running import ROOT, child, until_ready

# So many operations have enough to vary; the others run out of cases soon.
OPERATIONS = 5
# A creation with what is already there (409) and a change of what is not (404) are as good an answer as success, and
# no schema can say which cursors there are.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "404", "409"]

[checks.missing_required_header]
expected-statuses = ["400", "422", "428"]

[[operations]]
include-operation-id = "listVehicles"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
"""


async def fuzz(schemathesis: str, cases: int, folder: Path) -> int:
    """Run schemathesis until about so many cases are done; its exit code."""
    server = Postgres(folder)
    server.start()
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    environment = {**server.environment, "POSTGRES_DB": "postgres", "LISTEN_HOST": "127.0.0.1", "LOG_LEVEL": "warning"}
    try:
        async with child(environment) as service:
            await until_ready(service.get)
            process = await asyncio.create_subprocess_exec(
                schemathesis,
                *("--config-file", str(config), "run", f"http://127.0.0.1:{service.port}/openapi.json"),
                *("--max-examples", str(cases // OPERATIONS), "--checks", "all", "--seed", "1"),
                *("--continue-on-failure", "--max-response-time", "2"),
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.vehicle_api.fuzz_hooks"},
            )
            code = await process.wait()
            sys.stdout.write(service.printed.decode())
            return code
    finally:
        server.kill()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(asyncio.run(fuzz(sys.argv[1], int(sys.argv[2]), Path(temporary))))
