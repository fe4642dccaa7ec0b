"""The trace: canonical lines, digest, listeners."""

import hashlib

from kubesim.sim.trace import Record, Trace


def _trace(*records):
    trace = Trace()
    for record in records:
        trace.add(record)
    return trace


FIRST = Record(1, "kubelet/n", "started", "pod/d/p", "why", {"b": 1, "a": [2]})
SECOND = Record(2, "user", "deleted", "pod/d/p")


def test_a_line_is_a_json_array_with_sorted_keys():
    """One record a line, in order."""
    assert list(_trace(FIRST, SECOND).lines()) == [
        b'[1,"kubelet/n","started","pod/d/p","why",{"a":[2],"b":1}]\n',
        b'[2,"user","deleted","pod/d/p","",null]\n',
    ]


def test_the_digest_is_that_of_the_lines():
    """SHA-256 of them all."""
    trace = _trace(FIRST, SECOND)

    assert trace.digest() == hashlib.sha256(b"".join(trace.lines())).hexdigest()


def test_the_digest_tells_runs_apart_by_content_and_order_alone():
    """The order of keys in data is no difference."""
    turned = FIRST._replace(data={"a": [2], "b": 1})

    assert _trace(FIRST, SECOND).digest() == _trace(turned, SECOND).digest()
    assert _trace(FIRST, SECOND).digest() != _trace(SECOND, FIRST).digest()
    assert _trace(FIRST).digest() != _trace(FIRST._replace(at_ns=2)).digest()


def test_listeners_hear_of_each_record_once_it_is_there():
    """In the order in which they listen."""
    trace, heard = Trace(), []
    trace.listeners += [
        lambda record: heard.append((1, record, len(trace.records))),
        lambda record: heard.append((2, record, 1)),
    ]
    trace.add(FIRST)

    assert heard == [(1, FIRST, 1), (2, FIRST, 1)]
