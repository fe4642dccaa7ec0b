"""The timeline of a run in words: which records are told, in which sentence, and which are told together."""

from __future__ import annotations

from kubesim.cli.timeline.line import Line, together
from kubesim.cli.timeline.narrator import Narrator

__all__ = ["Line", "Narrator", "together"]
