"""Runs switch the cyclic collector off; that is only right while they make no cycles."""

from __future__ import annotations

import gc

from kubesim.cluster import Cluster, ready


def test_requests_and_idling_make_no_cycles():
    """A thousand requests and an idle hour leave nothing behind that only the cyclic collector could free."""
    with Cluster(nodes=3) as cluster:
        cluster.apply("specs/stack.yaml")
        cluster.until(ready("deployment/vehicle-api"))
        load = cluster.load("vehicle-api", rate_per_second=50)
        cluster.run(2)
        was_on = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            cluster.run(20)
            load.stop()
            cluster.run(3600)
            garbage = gc.collect()
        finally:
            if was_on:
                gc.enable()

        assert len(load.report) > 1000
        assert garbage < 100
