"""Why the simulator is known to differ from a recording: by scenario and subject. What is listed here must differ."""

from __future__ import annotations

from typing import Final

CAUSES: Final[dict[tuple[str, str], str]] = {}
