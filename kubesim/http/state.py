"""A cluster's objects on disk, so that it goes on where it was: a snapshot, and behind it every write since.

Each write is handed to the system before it is answered, so a server that is killed loses none; a line that a crash
has cut off is dropped. Events are not kept, nor is what volumes hold.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, final

import msgspec

from kubesim.api.kinds import EVENT
from kubesim.api.objects import Key, Object
from kubesim.apiserver.server import ApiServer, Write
from kubesim.errors import UserError

_FORMAT: Final = "kubesim state 1"
_LINES_MAX: Final = 200_000
_encode = msgspec.json.encode


class _Head(msgspec.Struct):
    """The first line."""

    format: Literal["kubesim state 1"]
    starts: int
    revision: int


@final
class StateFile:
    """One file. `starts` counts how often a server has begun from it."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one, and keep others from it.

        Raises:
            UserError: it is another server's, is no such file, or cannot be read.
        """
        self._path = path
        self.starts = 0
        self._revision = 0
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._lines = 0
        self._file: BinaryIO | None = None
        try:
            self._lock = _Lock(path.with_name(f".{path.name}.lock"))
        except BlockingIOError as error:
            raise UserError(f"{path}: another kubesim serves from it; end that first") from error
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self.is_new = not path.exists()
            if not self.is_new:
                self._read(path.read_bytes())
        except OSError as error:
            self._lock.release()
            raise _unusable(path, error) from error
        except UserError:
            self._lock.release()
            raise

    def _read(self, content: bytes) -> None:
        first, *lines = content.split(b"\n")
        try:
            head = msgspec.json.decode(first, type=_Head)
        except ValueError as error:
            raise UserError(f"{self._path}: is no state of kubesim; name another file") from error
        self.starts, self._revision = head.starts + 1, head.revision
        for line in lines:
            try:
                revision, resource, namespace, name, obj = msgspec.json.decode(line)
            except (ValueError, TypeError):
                break  # what a crash has cut off, and nothing behind it
            self._revision = max(self._revision, revision)
            if obj is None:
                self._objects.pop((resource, namespace, name), None)
            else:
                self._objects[resource, namespace, name] = obj

    def restore(self, server: ApiServer) -> None:
        """Give a server that holds nothing what there was."""
        objects = ((resource, Key(*key), obj) for (resource, *key), obj in self._objects.items())
        server.store.restore(self._revision, objects)
        for obj in list(server.store.table("services").objects.values()):
            server.services.allocate(obj, None)

    def follow(self, server: ApiServer) -> None:
        """Keep what a server holds now, and every write from now on."""
        self._objects.clear()
        self._server = server
        self._rewrite()
        server.on_write = self._on_write

    def _on_write(self, write: Write) -> None:
        if write.kind.plural == EVENT.plural or self._file is None:
            return
        metadata = write.obj["metadata"]
        is_gone = write.verb == "deleted" and write.previous is write.obj
        obj = None if is_gone else write.obj
        key = (metadata.get("namespace", ""), metadata["name"])
        self._file.write(_line(int(metadata["resourceVersion"]), write.kind.resource, *key, obj))
        self._lines += 1
        if self._lines > _LINES_MAX:
            self._rewrite()

    def _rewrite(self) -> None:
        """A snapshot in place of the log, whole or not at all."""
        store = self._server.store
        part = self._path.with_name(f".{self._path.name}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_encode(_Head(_FORMAT, self.starts, store.revision)) + b"\n")
            for resource, table in store.tables.items():
                if resource != EVENT.resource:
                    for key, obj in table.objects.items():
                        file.write(_line(int(obj["metadata"]["resourceVersion"]), resource, *key, obj))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        if self._file is not None:
            self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._lines = 0

    def close(self) -> None:
        """The end."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()


@final
class _Lock:
    """A file that one process at a time has; it is gone when nobody has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists() and os.path.samestat(os.fstat(self._number), path.stat()):
                    return
            except OSError:
                os.close(self._number)
                raise
            # Whoever had it has removed it since it was opened here.
            os.close(self._number)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._number)


def _unusable(path: Path, error: OSError) -> UserError:
    why = (error.strerror or "unknown").lower()
    return UserError(f"{path}: cannot be used for the state: {why}; name another file")


def _line(revision: int, resource: str, namespace: str, name: str, obj: Any) -> bytes:
    return _encode((revision, resource, namespace, name, obj)) + b"\n"
