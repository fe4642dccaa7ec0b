"""A Compose project in a few lines, on a host with time under control."""

from __future__ import annotations

from kubesim.compose.file import read_project
from kubesim.compose.host import ComposeHost


def project_of(tmp_path, text, **variables):
    """The project that a Compose file's text is."""
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    return read_project(path, variables)


def host_of(tmp_path, text, programs=None, *, is_up=True):
    """A host on which `docker compose up -d` has been done, without an error."""
    host = ComposeHost(project_of(tmp_path, text), 0, programs)
    if is_up:
        assert host.up() == ""
    return host


def happened(host, name, *verbs):
    """The seconds at which these things happened to a container."""
    return [
        record.at_ns / 1e9
        for record in host.engine.trace.records
        if record.subject == f"container/{name}" and record.verb in verbs
    ]
