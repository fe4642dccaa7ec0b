"""The words of `python -m adapters`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from kubesim.cli.exits import exit_code_of
from kubesim.errors import ApiError, UserError

_EPILOG: Final = """\
A context is never guessed: name it with --context, or once in the file kubesim.toml:

    [cluster]
    context = "kind-kubesim"

exit code: 0 done, 1 differs or an expectation failed, 2 something is wrong with the input or the cluster
"""


def main(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit code."""
    arguments = _parser().parse_args(words)

    def work() -> int:
        try:
            return _run(arguments)
        except ApiError as error:
            raise UserError(f"the API server answers {error.code} {error.reason}: {error.message}") from error

    return exit_code_of(work, "'.[cluster]'", "interrupted: what was written stays; the same command goes on")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "kind":
        from adapters.commands.kind import COMMANDS as OF_KIND

        return OF_KIND[arguments.verb](arguments)
    if arguments.command in ("run", "verify"):
        from adapters.commands.running import COMMANDS as OF_SCENARIOS

        return OF_SCENARIOS[arguments.command](arguments)
    if arguments.command in ("record", "parity"):
        from adapters.commands.recording import COMMANDS as OF_RECORDINGS

        return OF_RECORDINGS[arguments.command](arguments)
    if arguments.command == "sequences":
        from adapters.commands.sequences import COMMANDS as OF_SEQUENCES

        return OF_SEQUENCES[arguments.command](arguments)
    from adapters.commands.objects import COMMANDS as OF_MANIFESTS

    return OF_MANIFESTS[arguments.command](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adapters",
        description="Apply the same files to a real cluster, disturb it, and compare it with the simulator.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    apply = _add(commands, "apply", "apply manifests (server-side) and wait until all is ready")
    apply.add_argument("--dry-run", choices=("server",), help="only show what would be changed")
    apply.add_argument("--force-conflicts", action="store_true", help="take over fields that have other managers")
    apply.add_argument("--timeout", default="5m", metavar="DURATION", help="how long readiness may take (5m)")
    apply.add_argument("--no-wait", action="store_true", help="do not wait for readiness")
    _add(commands, "diff", "show what apply would change, field by field")
    _add(commands, "status", "show what the manifests' objects are at")
    delete = _add(commands, "delete", "delete what was applied, and nothing else")
    delete.add_argument("--yes", action="store_true", help="do not ask before a namespace that was there before")
    delete.add_argument("--timeout", default="5m", metavar="DURATION", help="how long it may take (5m)")
    run = _add(commands, "run", "run a scenario on the cluster and measure", spec="SCENARIO")
    run.add_argument("--keep", action="store_true", help="leave what the scenario applied")
    verify = commands.add_parser("verify", help="run a scenario in both and compare", allow_abbrev=False)
    verify.add_argument("spec", metavar="SPEC", help="the manifests")
    verify.add_argument("scenario", metavar="SCENARIO", help="the scenario file")
    verify.add_argument("--keep", action="store_true", help="leave what the scenario applied")
    _add_target(verify)
    record = commands.add_parser("record", help="run scenarios and keep what was observed", allow_abbrev=False)
    record.add_argument("scenario", nargs="+", metavar="SCENARIO", help="scenario files")
    record.add_argument("--into", default="specs/recordings", metavar="FOLDER", help="(specs/recordings)")
    _add_target(record)
    parity = commands.add_parser("parity", help="compare recordings with the simulator", allow_abbrev=False)
    parity.add_argument("scenario", nargs="*", metavar="NAME", help="names of recorded scenarios (all)")
    parity.add_argument("--recordings", default="specs/recordings", metavar="FOLDER", help="(specs/recordings)")
    parity.add_argument("--write", action="store_true", help="write docs/parity.md")
    _add_sequences(commands)
    _add_kind(commands)
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, spec: str = "SPEC"
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
    parser.add_argument("spec", nargs="+" if spec == "SPEC" else None, metavar=spec, help="file, folder or -")
    _add_target(parser)
    return parser


def _add_sequences(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sequences = commands.add_parser("sequences", help="send random requests to both and compare", allow_abbrev=False)
    sequences.add_argument("--requests", type=int, default=5000, metavar="N", help="how many, at least (5000)")
    sequences.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed draws the same requests (1)")
    sequences.add_argument("--into", metavar="FILE", help="keep the requests with the real answers")
    _add_target(sequences)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--context", metavar="NAME", help="the kubeconfig context (in-cluster: the Pod's own account)")
    parser.add_argument("--namespace", "-n", metavar="NAME", help="for manifests that name none")
    parser.add_argument("--kubeconfig", metavar="FILE", help="instead of KUBECONFIG and ~/.kube/config")


def _add_kind(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    kind = commands.add_parser("kind", help="a kind cluster with this stack in it", allow_abbrev=False)
    verbs = kind.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, text in (
        ("up", "make the cluster, build and load the image, apply the manifests, wait, print the address"),
        ("load", "build the image again and load it"),
        ("down", "delete the cluster"),
    ):
        verb = verbs.add_parser(name, help=text, allow_abbrev=False)
        verb.add_argument("--name", default="kubesim", metavar="NAME", help="the kind cluster's name (kubesim)")
        if name != "down":
            verb.add_argument("--image", default="vehicle-api:dev", metavar="TAG", help="(vehicle-api:dev)")
            verb.add_argument("--build", default=".", metavar="FOLDER", help="the folder with the Dockerfile (.)")
        if name == "up":
            verb.add_argument("spec", nargs="*", default=["specs/stack.yaml"], metavar="SPEC")
            verb.add_argument("--node-image", metavar="IMAGE", help="kind's --image")
            verb.add_argument("--timeout", default="5m", metavar="DURATION", help="how long readiness may take (5m)")
