"""The words of `kubesim test` and `kubesim replay`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

_TEST_EPILOG = """\
Every schedule is ten virtual minutes: faults strike for five, then all is healed and the cluster must be as its
manifests say, and stay so; what Kubernetes promises is watched all the time. A broken promise ends the search: the
schedule is shrunk, told as a timeline and kept as a file for kubesim replay.

exit code: 0 every promise was kept, 1 one was broken, 2 something is wrong with the input, 130 interrupted
"""


def add_searching(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], whole: Callable[[int, int], Callable[[str], int]]
) -> None:
    """Add test and replay; `whole(low, high)` reads a whole number within limits."""
    test = commands.add_parser(
        "test",
        help="search for the schedule of faults that breaks a promise",
        description="Play schedules of faults against manifests, and shrink the first one that breaks a promise.",
        epilog=_TEST_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    test.add_argument("spec", nargs="*", metavar="SPEC", help="a manifest file, a folder of them, or a scenario file")
    add = test.add_argument
    add("--faults", default="", metavar="NAMES", help="only these faults or areas, such as node,crash")
    add("--invariants", default="", metavar="NAMES", help="only these invariants, such as oneIdentity")
    add("--examples", type=whole(1, 10**9), metavar="N", help="how many schedules (1000)")
    add("--for", dest="lasts", metavar="DURATION", help="as many as can be played in this time, such as 10m")
    add("--workers", type=whole(1, 1024), metavar="N", help="how many processes play (one a core)")
    add("--seed", type=whole(0, 2**63), default=0, metavar="N", help="the same seed, the same schedules (0)")
    add("--nodes", type=whole(1, 1000), metavar="N", help="only clusters of so many nodes (drawn, mostly 3)")
    add("--availability", type=_share, default=0.0, metavar="SHARE", help="the least share of requests served (0)")
    add("--recovery", default="", metavar="DURATION", help="the longest that users may do without, such as 60s (any)")
    add("--exhaustive", type=whole(1, 4), metavar="K", help="instead: up to K faults after each write, all of them")
    add("--futures", metavar="WORKLOAD", help="instead: at each event of its rolling update, how often a fault hurts")
    add("--folder", default="kubesim-test", metavar="DIR", help="where findings are kept (kubesim-test)")
    add("--resume", metavar="DIR", help="go on with the campaign that is kept there")
    add("--quiet", action="store_true", help="print the verdict only")
    add("--no-color", action="store_true", help="no colours, as where NO_COLOR is set")
    replay = commands.add_parser(
        "replay",
        help="play the schedule in a file again and show what happens",
        description="Play a file that kubesim test has kept, tell what happens, and compare the trace's digest.",
        allow_abbrev=False,
    )
    replay.add_argument("file", metavar="FILE", help="a scenario file with checks")
    replay.add_argument("--as-pytest", action="store_true", help="write a test of it beside the file instead")
    replay.add_argument("--trace", metavar="FILE", help="write the trace to this file, one JSON array a line")
    replay.add_argument("--quiet", action="store_true", help="print the verdict only")
    replay.add_argument("--no-color", action="store_true", help="no colours, as where NO_COLOR is set")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, not {text!r}")
    return share
