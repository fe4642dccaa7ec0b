"""The command line's words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kubesim.cli.exits import exit_code_of
from kubesim.cli.running_words import add_running, split_command
from kubesim.cli.searching_words import add_searching

_RUN_EPILOG = """\
Without --scenario the story is made from the manifests: everything comes up, a container crashes, a Pod is deleted,
the database is killed, a node is lost and comes back, a new version is rolled out, all while users send requests.

exit code: 0 healthy, 1 an expectation failed, 2 something is wrong with the input
"""


def entry() -> None:
    """The `kubesim` command."""
    sys.exit(main(sys.argv[1:]))


def main(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit code."""
    own, of_container = split_command(words)
    arguments = _parser().parse_args(own)
    arguments.words = of_container
    return exit_code_of(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "run":
        from kubesim.cli.commands.run import run

        return run(arguments)
    if arguments.command == "graph":
        from kubesim.cli.commands.graph import graph

        return graph(arguments)
    if arguments.command == "invariants":
        from kubesim.cli.commands.invariants import invariants

        return invariants(arguments)
    if arguments.command == "faults":
        from kubesim.cli.commands.faults import faults

        return faults(arguments)
    if arguments.command == "serve":
        from kubesim.cli.commands.serve import serve

        return serve(arguments)
    if arguments.command == "compare":
        from kubesim.cli.commands.compare import compare

        return compare(arguments)
    if arguments.command == "version":
        from kubesim.cli.commands.version import version

        return version()
    if arguments.command == "test" and arguments.futures:
        from kubesim.cli.commands.odds import tell_odds

        return tell_odds(arguments)
    if arguments.command == "test":
        from kubesim.cli.commands.testing import search

        return search(arguments)
    if arguments.command == "replay":
        from kubesim.cli.commands.replaying import replay_file

        return replay_file(arguments)
    from kubesim.cli.commands.running import COMMANDS

    return COMMANDS[arguments.command](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubesim",
        description="A deterministic Kubernetes in one process: run your manifests, break things, see what happens.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_serve(commands)
    _add_graph(commands)
    add_searching(commands, _whole)
    _add_compare(commands)
    add_running(commands)
    faults = commands.add_parser("faults", help="list what can be done to a cluster", allow_abbrev=False)
    faults.add_argument("--markdown", action="store_true", help="as the page docs/faults.md")
    invariants = commands.add_parser("invariants", help="list what must hold whatever is done", allow_abbrev=False)
    invariants.add_argument("--markdown", action="store_true", help="as the page docs/invariants.md")
    commands.add_parser("version", help="print the version of kubesim and of the Kubernetes that it models")
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="run manifests through a story or a scenario and show what happens",
        description="Apply manifests to a fresh simulated cluster, let things break, and show what Kubernetes does.",
        epilog=_RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument(
        "spec", nargs="*", metavar="SPEC", help="a manifest file, a folder of them, or - for standard input"
    )
    run.add_argument("--scenario", metavar="FILE", help="run this scenario instead of the default story")
    _add_cluster(run)
    run.add_argument("--until", metavar="DURATION", help="stop at this virtual time, such as 90s or 5m")
    run.add_argument(
        "--output",
        choices=("text", "json", "yaml", "jsonl"),
        default="text",
        help="text, one document with the results as json or yaml, or the whole trace as jsonl",
    )
    run.add_argument(
        "--runtime",
        choices=("simulated", "process"),
        default="simulated",
        help="process runs the Pods as processes of this machine, in real time, until Ctrl-C or the scenario's end",
    )
    run.add_argument("--images", metavar="FILE", help="for --runtime process: more images and what they are here")
    run.add_argument("--trace", metavar="FILE", help="write the trace to this file, one JSON array a line")
    run.add_argument("--quiet", action="store_true", help="print the verdict only")
    run.add_argument("--no-color", action="store_true", help="no colours, as where NO_COLOR is set")


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a simulated cluster to kubectl and every other client",
        description="Serve a simulated cluster on the loopback address, until SIGTERM or Ctrl-C.",
        allow_abbrev=False,
    )
    serve.add_argument(
        "spec", nargs="*", metavar="SPEC", help="what it holds at the start: a manifest file, a folder of them, or -"
    )
    _add_cluster(serve)
    serve.add_argument(
        "--speed", default="1", metavar="N", help="virtual seconds a second, or max: as fast as it can until quiet (1)"
    )
    serve.add_argument(
        "--port", type=_whole(0, 65_535), default=6443, metavar="N", help="0 for any that is free (6443)"
    )
    serve.add_argument(
        "--kubeconfig", metavar="FILE", help="where to write what clients need to know (~/.kube/kubesim.yaml)"
    )
    serve.add_argument("--state", metavar="FILE", help="keep the cluster in this file, and go on from there")
    serve.add_argument("--insecure-http", action="store_true", help="plain HTTP, without certificates")


def _add_cluster(command: argparse.ArgumentParser) -> None:
    command.add_argument("--nodes", type=_whole(1, 32_768), metavar="N", help="how many nodes the cluster has (3)")
    command.add_argument("--node-cpu", metavar="QUANTITY", help="CPU of each node (4)")
    command.add_argument("--node-memory", metavar="QUANTITY", help="memory of each node (8Gi)")
    command.add_argument(
        "--seed", type=_whole(0, 2**63), default=0, metavar="N", help="the same seed gives the same run (0)"
    )


def _add_graph(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    graph = commands.add_parser(
        "graph",
        help="show who reaches whom, single points of failure, and what is lost with each part",
        description="Apply manifests, let everything start, and show the paths from users to data.",
        allow_abbrev=False,
    )
    graph.add_argument(
        "spec", nargs="+", metavar="SPEC", help="a manifest file, a folder of them, or - for standard input"
    )
    graph.add_argument(
        "--format", choices=("text", "mermaid", "dot", "svg"), default="text", help="how to draw it (text)"
    )
    graph.add_argument(
        "--nodes", type=_whole(1, 32_768), default=3, metavar="N", help="how many nodes the cluster has (3)"
    )
    graph.add_argument(
        "--seed", type=_whole(0, 2**63), default=0, metavar="N", help="the same seed gives the same graph (0)"
    )


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="play the same faults to manifests on Kubernetes and to a Compose file on one host, side by side",
        description="Run the same stack on Kubernetes and on Docker Compose: same users, same faults, same instants.",
        epilog="docs/compose.md says what is modelled of Compose, and what the person behind it does.",
        allow_abbrev=False,
    )
    compare.add_argument("spec", nargs="+", metavar="SPEC", help="a manifest file or a folder of them")
    compare.add_argument("compose", metavar="COMPOSE", help="the Compose file")
    compare.add_argument("--scenario", metavar="FILE", help="the faults of this scenario instead of the usual ones")
    compare.add_argument(
        "--operator-after",
        default="5m",
        metavar="DURATION",
        help="how long after a fault a person does by hand what Compose leaves to them (5m)",
    )
    compare.add_argument("--rate", type=_whole(1, 1000), metavar="N", help="requests a second (5, or the scenario's)")
    compare.add_argument("--nodes", type=_whole(1, 32_768), metavar="N", help="how many nodes the cluster has (3)")
    compare.add_argument(
        "--seed", type=_whole(0, 2**63), default=0, metavar="N", help="the same seed gives the same comparison (0)"
    )
    compare.add_argument("--svg", metavar="FILE", help="write a picture of both availabilities over time")
    compare.add_argument("--json", action="store_true", help="one JSON document instead of text")
    compare.add_argument("--no-color", action="store_true", help="no colours, as where NO_COLOR is set")
    compare.set_defaults(node_cpu=None, node_memory=None)


class _Whole:
    """A whole number within limits, for argparse."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def __call__(self, text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not self._low <= int(text) <= self._high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {self._low} to {self._high}, not {text!r}")
        return int(text)


_whole = _Whole
