"""Campaigns against mutants, each in a process of its own: `python tests/mutants/run.py [NAME …] [--seconds 60]`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from mutants import MUTANTS, Mutant  # noqa: E402 - its folder is no package


def hunt(name: str, seconds: float, first_seed: int = 0) -> dict[str, object]:
    """In this process: apply the mutant and look for a seed that shows it; the result is JSON-shaped."""
    import patching

    mutant = next(each for each in MUTANTS if each.name == name)
    patching.apply(mutant.edits)
    import campaign

    from kubesim.faults import describe

    started = time.monotonic()
    town = campaign.Town(str(HERE / "town.yaml"))
    seed = first_seed
    while time.monotonic() - started < seconds:
        found = campaign.search(town, range(seed, seed + 1))
        seed += 1
        if found is not None:
            at_s = time.monotonic() - started
            _, schedule, violation = found
            schedule, violation = campaign.shrink(town, schedule, seed - 1, violation)
            return {
                "seed": seed - 1,
                "found_s": round(at_s, 1),
                "shrunk_s": round(time.monotonic() - started, 1),
                "invariant": violation.invariant,
                "text": f"{violation.subject} {violation.text}",
                "faults": [describe(each) for each in schedule],
            }
    return {"seed": None, "tried": seed - first_seed}


def run(mutant: Mutant, seconds: float) -> dict[str, object]:
    """Hunt in another process."""
    command = [sys.executable, __file__, "--hunt", mutant.name, "--seconds", str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        return {"seed": None, "error": done.stderr.strip().splitlines()[-1]}
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> int:
    """Print a row for each mutant; 1 when one got away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hunt")
    arguments = parser.parse_args()
    if arguments.hunt:
        print(json.dumps(hunt(arguments.hunt, arguments.seconds)))
        return 0
    chosen = [each for each in MUTANTS if not arguments.names or each.name in arguments.names]
    caught = 0
    with ThreadPoolExecutor(arguments.workers) as pool:
        for mutant, found in zip(chosen, pool.map(lambda each: run(each, arguments.seconds), chosen), strict=True):
            if found["seed"] is None:
                print(f"MISSED  {mutant.name:30} {found}", flush=True)
                continue
            caught += 1
            faults = len(found["faults"])  # type: ignore[arg-type]
            figures = f"{found['found_s']:>5} s {found['shrunk_s']:>5} s  {faults} faults"
            print(f"caught  {mutant.name:30} {figures}  {found['invariant']}: {found['text']}", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
