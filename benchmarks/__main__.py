"""python -m benchmarks cluster --nodes N --pods M | idle | empty | startup | story | api | http | search | table | …

Each measures one thing and prints it.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from benchmarks import cluster, idle, startup, table


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value}")


def main(arguments: list[str]) -> int:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    pods = commands.add_parser("cluster", help="Pods from nothing to Ready, through Deployment, scheduler and kubelet")
    pods.add_argument("--nodes", type=int, default=1000)
    pods.add_argument("--pods", type=int, default=10_000)
    pods.add_argument("--per-deployment", type=int, default=500)
    pods.add_argument("--profile", action="store_true", help="print where the time goes instead")
    quiet = commands.add_parser("idle", help="virtual over wall time of an idle 3-node cluster with the stack")
    quiet.add_argument("--hours", type=int, default=24)
    commands.add_parser("empty", help="an empty 3-node cluster, made and ready, in process")
    commands.add_parser("startup", help="`python -m kubesim --help`, start to exit")
    commands.add_parser("story", help="`python -m kubesim run specs/stack.yaml`, start to exit")
    commands.add_parser("api", help="the vehicle API's GET of one vehicle, against a bare aiohttp and aiopg handler")
    served = commands.add_parser("http", help="what `kubesim serve` answers in a second: GET, LIST, watch, create")
    served.add_argument("--real", default="", metavar="KUBECONFIG", help="beside a control plane that runs here")
    real = commands.add_parser(
        "processes",
        help="the stack as real processes: start, kills and a rolling update under load (15 s for each kill of both)",
    )
    real.add_argument("--kills", type=int, default=20, help="how often each is killed (20)")
    campaign = commands.add_parser("search", help="schedules of faults a second, by one process and by workers")
    campaign.add_argument("--schedules", type=int, default=320)
    campaign.add_argument("--workers", type=int, default=2)
    everything = commands.add_parser("table", help="the table of docs/performance.md")
    everything.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    if options.command == "cluster":
        _print(cluster.measure(options.nodes, options.pods, options.per_deployment, options.profile), options.json)
    elif options.command == "idle":
        _print(idle.measure(options.hours), options.json)
    elif options.command == "empty":
        _print(startup.measure_empty(), options.json)
    elif options.command == "startup":
        _print(startup.measure_command(["--help"]), options.json)
    elif options.command == "story":
        _print(startup.measure_command(["run", "specs/stack.yaml"]), options.json)
    elif options.command == "api":
        from benchmarks import vehicle_api

        _print(vehicle_api.measure(), options.json)
    elif options.command == "http":
        from benchmarks import http_rates

        _print(http_rates.measure(options.real), options.json)
    elif options.command == "processes":
        from benchmarks import processes

        _print(processes.measure(options.kills), options.json)
    elif options.command == "search":
        from benchmarks import search

        _print(search.measure(options.schedules, options.workers), options.json)
    else:
        return table.main(options.write, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
