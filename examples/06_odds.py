"""How dangerous each moment of a rolling update is: at every event a Pod crashes, and users are asked.

At each event of the update the process is copied, and in the copy the process of the first Ready Pod ends at that very
instant; ten seconds later it is known whether some user was not served.
Run it from the project's root: `python examples/06_odds.py`.
"""

from kubesim import ClusterOptions
from kubesim.faults import FAULTS, Disturbance
from kubesim.faults.arguments import Duration, Reference
from kubesim.search import Setting, Users, find_odds

SECOND = 1_000_000_000
setting = Setting(
    sources=("specs/stack.yaml",),
    options=ClusterOptions(nodes=3, records=False),
    users=Users(service="vehicle-api", rate_per_second=5),
    disturbed_ns=60 * SECOND,
)
rollout = FAULTS["restartRollout"].argument(of=Reference("deployment/vehicle-api"))
crash = FAULTS["crash"].argument(of=Reference("deployment/vehicle-api"))
crashes = [Disturbance(fault="crash", argument=crash, at=Duration(0))]
story = (Disturbance(fault="restartRollout", argument=rollout, at=Duration(0)),)

odds = find_odds(setting, story, crashes, within_ns=10 * SECOND)
print(f"{len(odds)} events, {sum(each.tries for each in odds)} futures")
for second in range(0, 60, 5):
    span = [each for each in odds if second <= each.at_ns / SECOND < second + 5]
    if span:
        share = sum(each.unserved for each in span) / sum(each.tries for each in span)
        print(f"{second:3d} s to {second + 5:2d} s: {len(span):3d} events, users notice {share:4.0%} of the crashes")
