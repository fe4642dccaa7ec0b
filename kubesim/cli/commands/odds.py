"""`kubesim test --futures`: a rolling update, and at each of its events how often a fault would hurt."""

from __future__ import annotations

import argparse
import sys
from typing import Final

import msgspec

from kubesim.cli.commands.replaying import EXIT_BROKEN, EXIT_KEPT
from kubesim.cli.commands.testing import names_of, setting_of
from kubesim.cli.report.text import clock
from kubesim.cli.terminal import width_of
from kubesim.errors import UserError
from kubesim.faults import Disturbance
from kubesim.faults.arguments import Duration, Reference, Workload
from kubesim.search import Odds, find_odds
from kubesim.search.chains import cluster_of
from kubesim.sim.loop import MINUTE, SECOND
from kubesim.testing.schedules import every_disturbance, find_faults, targets_of

# How long the update may take, and how long each future is looked at.
_STORY_NS: Final = 2 * MINUTE
_FUTURE_NS: Final = 30 * SECOND
_REQUESTS_PER_SECOND: Final = 5


def tell_odds(arguments: argparse.Namespace) -> int:
    """Play the update, try the futures and report; returns the exit code: 1 where a future breaks a promise.

    Raises:
        UserError: something is wrong with the input.
    """
    setting = setting_of(arguments)
    users = setting.users
    if users is not None:
        users = msgspec.structs.replace(users, rate_per_second=_REQUESTS_PER_SECOND)
    setting = msgspec.structs.replace(setting, users=users, disturbed_ns=_STORY_NS)
    targets = targets_of(cluster_of(setting))
    known = [workload.reference for workload in targets.workloads]
    if arguments.futures not in known:
        raise UserError(f"--futures: there is no {arguments.futures}; there are: {', '.join(known) or 'no workloads'}")
    update = Disturbance(fault="restartRollout", argument=Workload(of=Reference(arguments.futures)), at=Duration(0))
    faults = every_disturbance(targets, find_faults(names_of(arguments.faults)))
    odds = find_odds(setting, (update,), faults, _FUTURE_NS)
    if not arguments.quiet:
        width = width_of(sys.stdout)
        sys.stdout.write(f"A rolling update of {arguments.futures}; at each event {len(faults)} faults are tried.\n\n")
        sys.stdout.write("  since start  users unserved  promise broken  event\n")
        sys.stdout.writelines(f"{_line(each)[:width]}\n" for each in odds)
        sys.stdout.write("\n")
    tries = sum(each.tries for each in odds)
    unserved, broken = sum(each.unserved for each in odds), sum(each.broken for each in odds)
    share = f"{unserved / tries:.0%}" if tries else "none"
    sys.stdout.write(
        f"{len(odds)} events, {tries:,} futures of {_FUTURE_NS // SECOND} s: in {share} of them some request is not "
        f"served, {broken:,} break a promise.\n"
    )
    return EXIT_BROKEN if broken else EXIT_KEPT


def _line(odds: Odds) -> str:
    shares = (f"{count / odds.tries:14.0%}  " for count in (odds.unserved, odds.broken))
    return f"{clock(odds.at_ns):>13}  {''.join(shares)}{odds.what}"
