"""A campaign on dask.distributed: its executor is one like any other."""

from __future__ import annotations

import warnings

import pytest

from kubesim.search import Campaign, Range, chains
from kubesim.search.plan import CHAIN
from kubesim.testing.schedules import find_faults, targets_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    distributed = pytest.importorskip("distributed")


@pytest.mark.filterwarnings("ignore")
def test_a_campaign_on_dask_finds_the_same(setting):
    """Chain by chain, what a local cluster of dask plays is what this process plays."""
    plan = Range(setting, targets_of(chains.cluster_of(setting)), find_faults(), seed=0, varies_cluster=False)
    alone = list(Campaign(plan, CHAIN).run(None, 1, lambda: False))
    local = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}

    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        spread = list(Campaign(plan, CHAIN).run(client.get_executor(), 2, lambda: False))

    assert spread == alone
