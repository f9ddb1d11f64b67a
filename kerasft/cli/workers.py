import contextlib

import joblib

from kerasft.backend import has_accelerator


@contextlib.contextmanager
def workers(jobs, scheduler=None):
    """Where the runs of a grid go: processes of this machine or a Dask cluster.

    Args:
        jobs: Number of processes, or `None`: one for each core. On an
            accelerator, whose memory may not hold the runs of so many, a
            single one.
        scheduler: Address of a Dask scheduler, or `None`.

    Raises:
        ValueError: Both, no Dask, no scheduler at the address, or workers
            with several threads.
    """
    if scheduler is None:
        jobs = jobs or (1 if has_accelerator() else joblib.cpu_count())
        with joblib.parallel_config("loky", n_jobs=jobs):
            yield
        return
    if jobs is not None:
        raise ValueError(
            f"Expected one of --jobs and --scheduler. Received: {jobs} and {scheduler}."
        )
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ValueError(
            "Expected Dask for --scheduler: pip install 'kerasft[cluster]'. Received: no module "
            f"{error.name}."
        ) from error
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Expected the address of a Dask scheduler. Received: {scheduler} ({error})."
        ) from error
    with client, joblib.parallel_config("dask"):
        # The random state of Keras is one for a process.
        busy = [worker for worker, threads in client.nthreads().items() if threads != 1]
        if busy or not client.nthreads():
            raise ValueError(
                "Expected Dask workers with one thread each (dask worker --nthreads 1). Received: "
                f"{busy[0] + ' with more' if busy else 'no workers'}."
            )
        yield
