"""What of a container's log is read, and what is followed."""

from __future__ import annotations

import asyncio

import pytest

from kubesim.cluster import Cluster
from kubesim.cluster.containers import Containers
from kubesim.http.logs import followed, read_log_options, written

LINES = [(number, f"line {number}") for number in range(3)]
SCRIPT = "for i in 1 2 3 4; do echo $i; sleep 60; done"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox", "args": ["sh", "-c", SCRIPT]}]},
}


@pytest.mark.parametrize("tail, count", [(0, 0), (1, 1), (3, 3), (4, 3), (100, 3)])
def test_the_last_lines(tail, count):
    """As many as are asked for, or all that there are."""
    shown = written(LINES, read_log_options({"tailLines": str(tail)}, 0))

    assert shown.count(b"\n") == count


@pytest.mark.parametrize(
    "query, shown", [({}, ["2\n3\n4\n"]), ({"limitBytes": "5"}, ["2\n3"]), ({"limitBytes": "2"}, [])]
)
def test_a_reader_that_is_slow_misses_nothing(query, shown):
    """What is written before the reader has taken what there was comes after it, up to the limit."""
    cluster = Cluster(nodes=1)
    cluster.create(POD)
    cluster.run(30)
    output = Containers(cluster.data_plane).output(cluster.get("pod/p"), "", previous=False)
    options = read_log_options({"follow": "true", **query}, cluster.now_ns)
    body = written(output.lines, options)

    chunks = followed(output.process, output.process.written, options, len(body))
    cluster.run(300)

    assert body == b"1\n"
    assert asyncio.run(gathered(chunks)) == [each.encode() for each in shown]


async def gathered(chunks):
    """All of them."""
    return [chunk async for chunk in chunks]
