"""PostgreSQL: what is durable when, and who gets in."""

from __future__ import annotations

import pytest
from data_plane import DATABASE_ENV

from kubesim.programs.postgres import rows_in
from kubesim.programs.program import Volume
from kubesim.programs.sql import PING, TOKENS, Rejected, Rows, Startup, Statement
from kubesim.sim.loop import MILLISECOND, SECOND

DATA = "/var/lib/postgresql/data"
LOGIN = Startup("vehicles", "secret", "vehicles")
READY_SECONDS = 2
IP = "10.244.0.5"


class Session:
    """One client's connection to the database at `IP`."""

    def __init__(self, plane, startup=LOGIN, ip="10.244.0.9"):
        self.plane = plane
        got = []
        plane.sockets(ip).connect(IP, 5432, SECOND, got.append)
        plane.loop.run_until(plane.loop.now_ns + SECOND, lambda: bool(got))
        self.connection = got[0]
        self.login = self.run(startup) if hasattr(self.connection, "call") else self.connection

    def run(self, statement):
        got = []
        self.connection.call(statement, SECOND, got.append)
        self.plane.loop.run_until(self.plane.loop.now_ns + 2 * SECOND, lambda: bool(got))
        return got[0]

    def insert(self, key, **more):
        return self.run(Statement("insert", "vehicles", key, {"vin": key}, **more))

    def select(self, key="", **more):
        """The VINs that are found."""
        return [row["vin"] for row in self.run(Statement("select", "vehicles", key, **more)).rows]


def start(plane, volume, **options):
    volumes = {} if volume is None else {DATA: volume}
    process = plane.run("postgres:15", IP, "node-1", volumes=volumes, **options)
    plane.wait(READY_SECONDS)
    return process


def filled(plane, volume):
    """A running server with one row, and a session."""
    process = start(plane, volume)
    session = Session(plane)
    assert session.run(Statement("create", "vehicles", unique="vin")) == Rows()
    assert [row["vin"] for row in session.insert("a").rows] == ["a"]
    return process, session


def test_first_start_initialises_and_later_ones_do_not(plane):
    """An empty volume takes initdb's time, a sound one only the start's."""
    volume = Volume("data")
    process = start(plane, volume)
    first = [line for _, line in process.output]
    process.terminate()
    plane.wait(1)
    started_ns = plane.loop.now_ns
    again = start(plane, volume)

    assert first == [
        "PostgreSQL init process complete; ready for start up.",
        "database system is ready to accept connections",
    ]
    assert [(at_ns - started_ns, line) for at_ns, line in again.output] == [
        (100 * MILLISECOND, "database system is ready to accept connections")
    ]


@pytest.mark.parametrize(
    "mount, folder", [(DATA, "pgdata/"), (f"{DATA}/pgdata", ""), ("/var/lib", "postgresql/data/pgdata/")]
)
def test_data_folder_lies_within_its_mount(plane, mount, folder):
    """PGDATA may be the mount itself or a folder inside it."""
    volume = Volume("data")
    plane.run("postgres:15", IP, volumes={mount: volume}, env={**DATABASE_ENV, "PGDATA": f"{DATA}/pgdata"})
    plane.wait(READY_SECONDS)

    assert volume.files[f"{folder}PG_VERSION"] == "15"


def test_no_password_is_refused_by_the_entrypoint(plane):
    """Upstream: docker-library/postgres docker-entrypoint.sh:docker_verify_minimum_env."""
    process = plane.run("postgres:15", IP, env={})

    assert plane.ends == [(0.0, IP, (1, "Error"))]
    assert process.output[0][1] == "Error: Database is uninitialized and superuser password is not specified."


def test_an_acknowledged_commit_survives_a_kill(plane):
    """It is in the volume when the client hears of it; the next start replays the log first."""
    volume = Volume("data")
    process, session = filled(plane, volume)
    process.kill()
    kept = rows_in(volume, "vehicles")
    again = start(plane, volume)

    assert list(kept) == ["a"]
    assert again.output[0][1] == "database system was not properly shut down; automatic recovery in progress"
    assert Session(plane).select() == ["a"]
    assert session.connection.is_open is False


def test_a_commit_before_its_time_is_lost_with_the_process(plane):
    """Killed before the fsync: not in the volume, and the client gets no success."""
    volume = Volume("data")
    process, session = filled(plane, volume)
    got = []
    session.connection.call(Statement("insert", "vehicles", "b", {"vin": "b"}), SECOND, got.append)
    plane.wait(0.001)
    process.kill()
    plane.wait(2)

    assert ([answer.failure for answer in got], list(rows_in(volume, "vehicles"))) == (["reset"], ["a"])


def test_a_commit_whose_answer_is_lost_is_in_the_volume(plane):
    """Killed after the fsync and before the answer could leave the node: kept, though nobody was told."""
    volume = Volume("data")
    _, session = filled(plane, volume)
    plane.fabric.lose_node("node-1")
    plane.fabric.restore_node("node-1")
    got = []
    session.connection.call(Statement("insert", "vehicles", "b", {"vin": "b"}), SECOND, got.append)
    plane.wait(0.0005)
    plane.fabric.lose_node("node-1")
    plane.wait(2)

    assert ([answer.failure for answer in got], list(rows_in(volume, "vehicles"))) == (["timeout"], ["a", "b"])


def test_without_a_volume_the_data_goes_with_the_container(plane):
    """The image's own layer is new for every container."""
    process, _ = filled(plane, None)
    process.kill()
    again = start(plane, None)

    assert again.output[0][1] == "PostgreSQL init process complete; ready for start up."
    assert Session(plane).run(Statement("select", "vehicles")).code == "42P01"


def test_two_servers_on_one_folder_lose_commits(plane):
    """Each writes its own tables over the other's: what an overlapping rolling update does to a shared volume."""
    volume = Volume("data")
    _, first = filled(plane, volume)
    plane.run("postgres:15", "10.244.0.6", volumes={DATA: volume})
    plane.wait(READY_SECONDS)
    first.insert("b")
    got = []
    plane.sockets("10.244.0.8").connect("10.244.0.6", 5432, SECOND, got.append)
    plane.wait(0.1)
    got[0].call(Statement("insert", "vehicles", "c", {"vin": "c"}), SECOND, got.append)
    plane.wait(0.1)

    assert (len(got[1].rows), list(rows_in(volume, "vehicles"))) == (1, ["a", "c"])


def test_a_password_is_written_once(plane):
    """A changed Secret does not change the database that is there already."""
    volume = Volume("data")
    start(plane, volume).kill()
    start(plane, volume, env={**DATABASE_ENV, "POSTGRES_PASSWORD": "changed"})

    assert Session(plane).login == Rows()
    assert Session(plane, Startup("vehicles", "changed", "vehicles")).login == Rejected(
        "28P01", 'FATAL: password authentication failed for user "vehicles"'
    )
    assert Session(plane, LOGIN._replace(database="other")).login == Rejected(
        "3D000", 'FATAL: database "other" does not exist'
    )


def test_max_connections(plane):
    """All but the three reserved ones can be had; one that is closed is free again."""
    start(plane, Volume("data"), arguments=["-c", "max_connections=5"])
    sessions = [Session(plane, ip=f"10.244.1.{number}") for number in range(3)]
    sessions[0].connection.close()
    plane.wait(0.1)
    again = Session(plane, ip="10.244.2.1")

    assert [session.login for session in sessions] == [
        Rows(),
        Rows(),
        Rejected("53300", "FATAL: sorry, too many clients already"),
    ]
    # The refused session of the test keeps its connection open, as no real client would.
    assert again.login.code == "53300"
    sessions[2].connection.close()
    assert again.run(LOGIN) == Rows()


def test_the_stop_signal_is_a_fast_shutdown(plane):
    """Sessions end, nothing new is let in, and the next start needs no recovery."""
    volume = Volume("data")
    process, session = filled(plane, volume)
    process.terminate()
    start_s = plane.loop.now_ns / SECOND
    refusals = (session.run(PING), Session(plane, ip="10.244.1.1").login)
    plane.wait(1)
    again = start(plane, volume)

    assert [refusal.code for refusal in refusals] == ["57P01", "57P03"]
    assert plane.ends == [(round(start_s + 0.1, 4), IP, (0, "Completed"))]
    assert [line for _, line in again.output] == ["database system is ready to accept connections"]


def test_pg_isready(plane):
    """2 without an answer, 1 while it rejects, 0 when it accepts. Upstream: PostgreSQL manual, pg_isready."""
    command = ["sh", "-c", 'pg_isready -h 127.0.0.1 -U "$POSTGRES_USER"']
    volume = Volume("data")
    process = plane.run("postgres:15", IP, volumes={DATA: volume})
    codes = []
    for wait in (1, 0.55, 1):
        plane.wait(wait)
        codes.append(process.execute(command).exit_code)
    process.terminate()
    codes.append(process.execute(command).exit_code)

    assert codes == [2, 1, 0, 1]
    assert process.is_steady
    assert len(plane.health_changes) == 2


def test_statements(plane):
    """A key or a unique value that is there keeps another row out; select takes a key, conditions, a place and a limit."""
    volume = Volume("data")
    _, session = filled(plane, volume)
    session.insert("b")

    assert session.insert("a") == Rows(), "ON CONFLICT (key) DO NOTHING"
    assert session.run(Statement("insert", "vehicles", "c", {"vin": "a"})) == Rejected(
        "23505", 'duplicate key value violates unique constraint "vehicles_vin_key"'
    )
    assert [session.select("b"), session.select("z"), session.select(limit=1)] == [["b"], [], ["a"]]
    assert [session.select(where={"vin": "b"}), session.select(where={"vin": "z"}), session.select(after=1)] == [
        ["b"],
        [],
        ["b"],
    ]


def test_changes_of_a_version(plane):
    """An update or a deletion that was meant for another version finds nothing to do; what is done is durable."""
    volume = Volume("data")
    process, session = filled(plane, volume)
    session.insert("b")
    change = Statement("update", "vehicles", "a", {"vin": "c"}, version=1)

    [changed] = session.run(change).rows
    assert (changed["vin"], changed["version"]) == ("c", 2)
    assert session.run(change) == Rows()
    assert session.run(change._replace(row={"vin": "b"}, version=2)).code == "23505"
    assert session.insert("a").rows == (), "the key is still the first row's"
    assert session.run(Statement("delete", "vehicles", "a", version=1)) == Rows()
    assert len(session.run(Statement("delete", "vehicles", "a", version=2)).rows) == 1
    process.kill()
    start(plane, volume)
    again = Session(plane)
    assert again.select() == ["b"]
    assert again.run(Statement("insert", "vehicles", "d", {"vin": "b"})).code == "23505", "the index is there again"


def test_an_insertion_is_done_once(plane):
    """Within a day the second one with the same token does nothing; a row that is refused uses none up."""
    _, session = filled(plane, Volume("data"))
    assert session.insert("b", once="t").code == "42P01"
    session.run(Statement("create", TOKENS))

    assert session.run(Statement("insert", "vehicles", "x", {"vin": "a"}, once="t")).code == "23505"
    assert len(session.insert("b", once="t").rows) == 1
    assert session.insert("c", once="t") == Rows()
    assert session.run(Statement("select", TOKENS, "t")).rows[0]["key"] == "b"
    plane.wait(24 * 3600)
    assert len(session.insert("c", once="t").rows) == 1
