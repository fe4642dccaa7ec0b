"""Looking for the schedule of faults that breaks a promise: campaigns of runs, shrinking, replay.

What belongs here decides which runs to make and what to learn from them. What can be done to a cluster is
`kubesim.faults`, what must hold `kubesim.checks`, how schedules are drawn `kubesim.testing.schedules`.
"""

from kubesim.search.campaign import Campaign, Failure, Finished, Totals
from kubesim.search.finding import Finding, reduce_failure
from kubesim.search.futures import Odds, find_odds, try_futures
from kubesim.search.plan import Range
from kubesim.search.replay_file import read_replay
from kubesim.search.replaying import Replay, find_parting, replay
from kubesim.search.running import Played, Setting, Stage, Users
from kubesim.search.simple import explain, search

__all__ = [
    "Campaign",
    "Failure",
    "Finding",
    "Finished",
    "Odds",
    "Played",
    "Range",
    "Replay",
    "Setting",
    "Stage",
    "Totals",
    "Users",
    "explain",
    "find_odds",
    "find_parting",
    "read_replay",
    "reduce_failure",
    "replay",
    "search",
    "try_futures",
]
