"""A real PostgreSQL as a Pod: what is acknowledged survives kill -9, because the claim's folder does."""

from __future__ import annotations

import pytest
from tiny_stacks import manifest, write_manifests

from kubesim.cluster import ready
from kubesim.processes.database import rows_of
from kubesim.processes.images import find_postgres
from kubesim.processes.stack import ProcessStack
from kubesim.sim.loop import SECOND

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_postgres() is None, reason="this machine has no PostgreSQL programs"),
]

READY = ["sh", "-c", 'pg_isready -h 127.0.0.1 -U "$POSTGRES_USER"']
POSTGRES = {
    "name": "postgres",
    "image": "postgres:15",
    "env": [
        {"name": "POSTGRES_USER", "value": "fleet"},
        {"name": "POSTGRES_PASSWORD", "value": "it's only for tests"},
        {"name": "POSTGRES_DB", "value": "vehicles"},
        {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
    ],
    "readinessProbe": {"exec": {"command": READY}, "periodSeconds": 1, "timeoutSeconds": 30},
    "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
DATABASE = manifest(
    "StatefulSet",
    "db",
    {
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [POSTGRES]}},
        "volumeClaimTemplates": [CLAIM],
    },
)


def sql(stack, text):
    """Run a statement in the Pod; the output."""
    container = stack.container_of("pod/db-0")
    node = stack.cluster.get("pod/db-0")["spec"]["nodeName"]
    command = ["sh", "-c", f'PGPASSWORD="$POSTGRES_PASSWORD" psql -qAt -U fleet vehicles -c "{text}"']
    results = []
    stack.bodies.runtimes[node].execute(container.record, command, 60 * SECOND, results.append)
    while not results:
        stack.pacer.run(stack.pacer.wall_ns() + SECOND // 50)
    assert results[0].exit_code == 0, results[0]
    return results[0].output


def test_a_killed_database_comes_back_with_its_rows(tmp_path):
    """After kill -9 of the server its container is restarted on the same data, and the audit finds what was stored."""
    with ProcessStack(objects=[DATABASE]) as stack:
        stack.cluster.apply(write_manifests(tmp_path, DATABASE))
        is_ready = ready("pod/db-0")
        assert stack.pacer.run(stack.pacer.wall_ns() + 90 * SECOND, lambda: is_ready.holds(stack.cluster))
        log = stack.container_of("pod/db-0").log.path.read_text()
        sql(stack, "CREATE TABLE vehicles (vin text); INSERT INTO vehicles VALUES ('first'), ('second')")

        stack.cluster.crash("pod/db-0", exit_code=137)

        def is_back():
            status = stack.cluster.get("pod/db-0")["status"]["containerStatuses"][0]
            return status["restartCount"] == 1 and status["ready"]

        assert stack.pacer.run(stack.pacer.wall_ns() + 90 * SECOND, is_back)
        assert sql(stack, "SELECT current_user, count(*) FROM vehicles") == "fleet|2\n"
        assert [*rows_of(stack.containers(), "vehicles", "vin")] == ["first", "second"]
        assert "will be initialized" not in log, "that was done while the cluster was made"
        assert sql(stack, "SHOW recovery_init_sync_method") == "syncfs\n", "a start waits for the disk once"
