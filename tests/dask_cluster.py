"""A Dask cluster on this machine, whose workers start at once."""

import contextlib

import pytest
from forkserver import forkserver


@contextlib.contextmanager
def dask_cluster():
    """A `dask.distributed.LocalCluster` of two workers; skips the test without Dask."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("dask.distributed")
    forkserver()
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
    ):
        yield cluster
