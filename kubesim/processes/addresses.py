"""Where the cluster's addresses are on this machine: each has a loopback address of its own.

The API keeps the cluster's usual ranges, which no process here could bind. Outside the API, in environments, files and
sockets, 10.96.0.0/12 (Services), 10.244.0.0/16 (Pods) and 172.18.0.0/16 (nodes) are shifted into one of seven blocks of
127.0.0.0/8, so that seven stacks can run side by side.
"""

from __future__ import annotations

import errno
import re
import socket
from typing import Final, final

from kubesim.errors import UserError

_BLOCKS: Final = range(1, 8)
_LOCK_PORT: Final = 65001
_ADDRESS = re.compile(r"(?<![\d.])(10\.(?:9[6-9]|10\d|11[01]|244)|172\.18)\.(\d{1,3}\.\d{1,3})(?![\d.])")
_LOOPBACK = re.compile(r"(?<![\w.-])(?:127\.0\.0\.1|localhost)(?![\w.-])")


@final
class Addresses:
    """One block of loopback addresses, held as long as this object's socket is open."""

    def __init__(self) -> None:
        """Take the first block that no other stack holds.

        Raises:
            UserError: this machine has no such addresses, or all blocks are taken.
        """
        self._base = 0
        self._lock = self._claim()

    def _claim(self) -> socket.socket:
        for block in _BLOCKS:
            address = f"127.{32 * block + 31}.255.254"
            lock = socket.socket()
            try:
                lock.bind((address, _LOCK_PORT))
                lock.listen(1)  # where another stack only binds, too, the second listener fails
            except OSError as error:
                lock.close()
                if error.errno == errno.EADDRINUSE:
                    continue
                raise UserError(
                    f"the loopback address {address} cannot be used ({error.strerror}); the process runtime needs all "
                    "of 127.0.0.0/8, as Linux has it"
                ) from error
            self._base = 32 * block
            return lock
        raise UserError(f"all {len(_BLOCKS)} blocks of loopback addresses are taken; end another stack first")

    def close(self) -> None:
        """Give the block back."""
        self._lock.close()

    def local(self, ip: str) -> str:
        """The loopback address that stands for an address of the cluster; any other is returned as it is."""
        return _ADDRESS.sub(self._shifted, ip)

    def localise(self, text: str) -> str:
        """The text with all addresses of the cluster in it replaced."""
        return _ADDRESS.sub(self._shifted, text) if "10." in text or "172." in text else text

    def describe(self) -> str:
        """In words, where the cluster's ranges are."""
        base = self._base
        return f"10.244.0.0/16 (Pods) is 127.{base + 16}.0.0/16 here, 10.96.0.0/12 (Services) begins at 127.{base}.0.0"

    def _shifted(self, match: re.Match[str]) -> str:
        first, rest = match.groups()
        if first == "172.18":
            return f"127.{self._base + 17}.{rest}"
        second = int(first[3:])
        return f"127.{self._base + (16 if second == 244 else second - 96)}.{rest}"


def with_own_loopback(text: str, ip: str) -> str:
    """The text with 127.0.0.1 and localhost replaced: within a Pod they mean the Pod, which here has an address."""
    return _LOOPBACK.sub(ip, text) if "127.0.0.1" in text or "localhost" in text else text
