"""Seconds of a grid of fine-tuning runs: one after the other, and by two jobs.

    python benchmarks/grid_scaling.py

Eight runs of the small network on the embedded digits, 32×32 pixels, each from the
ranking to the merged model. Three ways to get them done, each a process from its start
to its end: a loop in one process with all cores, which is what one would write; the
grid with one job that has one job's share of the cores; the grid with two jobs. The
ways take turns. Jobs have the same threads, so their results must be equal. With other
threads sums are rounded otherwise, which epochs of training make as large as
another seed would; the loop must agree after the first epoch. If they do not agree,
nothing is written.
"""

import os
import pathlib
import tempfile
import time

import numpy as np
import pandas as pd
from measuring import Parser, in_fresh_process, rotated, write_table

JOBS = 2
LOOP, ONE, TWO = "a loop, all cores", "one job, its share of the cores", f"{JOBS} jobs"


def main(arguments=None):
    parser = Parser(__doc__, "bench-grid-scaling.csv")
    parser.add_argument("--turns", default=3, type=int)
    args = parser.parse_args(arguments)
    turns, runs, epochs = (1, 2, 1) if args.quick else (args.turns, 8, 15)
    share = max(1, (os.cpu_count() or JOBS) // JOBS)
    ways = {
        LOOP: (loop, (), {"OMP_NUM_THREADS": None}),
        # How joblib tells its workers, too.
        ONE: (grid, (1,), {"OMP_NUM_THREADS": str(share)}),
        TWO: (grid, (JOBS,), {"OMP_NUM_THREADS": None}),
    }
    seconds = {name: [] for name in ways}
    for turn in range(turns):
        results = {}
        for name in rotated(list(ways), turn):
            function, jobs, environment = ways[name]
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                results[name] = in_fresh_process(
                    function, folder, runs, epochs, *jobs, environment=environment
                )
                seconds[name].append(time.perf_counter() - start)
        check(results)
    to_two = {name: np.asarray(times) / np.asarray(seconds[TWO]) for name, times in seconds.items()}
    rows = [
        {
            "way": name,
            "seconds": round(float(np.median(seconds[name])), 2),
            "speed_up_of_two_jobs": round(float(np.median(to_two[name])), 2),
            "low": round(float(to_two[name].min()), 2),
            "high": round(float(to_two[name].max()), 2),
            "runs": runs,
            "threads_of_a_job": share,
            "turns": turns,
        }
        for name in ways
    ]
    write_table(pd.DataFrame(rows), args.out)


def configurations(runs, epochs):
    """Seeds and rules, as the experiments of the paper vary them."""
    return [
        {"seed": number // 2, "which": ("most", "random")[number % 2], "epochs": epochs}
        for number in range(runs)
    ]


def loop(folder, runs, epochs):
    """All runs in this process, one after the other."""
    import keras

    results = []
    for configuration in configurations(runs, epochs):
        results += fine_tuning_run(configuration)
        keras.utils.clear_session(free_memory=True)
    return results


def grid(folder, runs, epochs, jobs):
    """All runs by `run_grid`."""
    import joblib

    from kerasft.experiments import run_grid

    with joblib.parallel_config("loky", n_jobs=jobs):
        table = run_grid(
            fine_tuning_run,
            configurations(runs, epochs),
            {},
            pathlib.Path(folder) / "runs.csv",
            description="Fine-tuning",
        )
    return table[["first_loss", "loss", "accuracy", "trained_parameters"]].to_dict("records")


def fine_tuning_run(configuration):
    """Rank, select, fine-tune for a fixed number of epochs, test."""
    import keras

    import kerasft

    images, labels = kerasft.datasets.digits()
    images = images.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    blurred = kerasft.gaussian_blur(images[:1000], sigma=4.0)
    keras.utils.set_random_seed(configuration["seed"])
    model = kerasft.models.cifar10_cnn()
    ranking = kerasft.rank_filters(model, images[:200], blurred[:200], layers=["conv1", "conv2"])
    tuned = kerasft.fine_tune(
        model,
        (blurred[:500], labels[:500]),
        (blurred[500:1000], labels[500:1000]),
        ranking=ranking,
        which=configuration["which"],
        # Always as many, so that a run's time does not depend on rounding.
        epochs=configuration["epochs"],
        patience=configuration["epochs"],
        seed=configuration["seed"],
        verbose=0,
    )
    history = tuned.history.history
    return [
        {
            "first_loss": float(history["val_loss"][0]),
            "loss": float(min(history["val_loss"])),
            "accuracy": float(max(history["val_accuracy"])),
            "trained_parameters": tuned.trained_parameters,
        }
    ]


def check(results):
    """However the runs are done, they give the same."""
    tables = {name: pd.DataFrame(rows) for name, rows in results.items()}
    pd.testing.assert_frame_equal(tables[ONE], tables[TWO], check_exact=True)
    early = ["first_loss", "trained_parameters"]
    pd.testing.assert_frame_equal(tables[LOOP][early], tables[TWO][early], rtol=1e-3)


if __name__ == "__main__":
    main()
