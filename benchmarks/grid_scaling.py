"""Seconds of a grid of fine-tuning runs: one after the other, and by two jobs.

    python benchmarks/grid_scaling.py

Eight runs of the small network on the embedded digits, 32×32 pixels, each from the
ranking to the merged model. Four ways to get them done, each timed from the start of
its processes to their end: a loop in one process with all cores, which is what one would
write; the grid with one job that has one job's share of the cores; the grid with two
jobs; and the limit of the machine: two loops started at once that know nothing of each
other or of the grid, each with half of the runs and the threads of one job. Besides the
whole, each way tells when its first run began, what starting costs, and how long a run
took: runs that share a machine are slower than a run alone, whoever starts them.

The ways take turns. Jobs have the same threads, so their results must be equal. With
other threads sums are rounded otherwise, which epochs of training make as large as
another seed would; the loop must agree after the first epoch. If they do not agree,
nothing is written.
"""

import concurrent.futures
import pathlib
import tempfile
import time

import joblib
import numpy as np
import pandas as pd
from measuring import Parser, in_fresh_process, rotated, write_table

JOBS = 2
LOOP, ONE, TWO = "a loop, all cores", "one job, its share of the cores", f"{JOBS} jobs"
LIMIT = f"{JOBS} loops at once, no grid"
RUN = ["seed", "which"]
RESULT = ["first_loss", "loss", "accuracy", "trained_parameters"]


def main(arguments=None):
    parser = Parser(__doc__, "bench-grid-scaling.csv")
    parser.add_argument("--turns", default=3, type=int)
    args = parser.parse_args(arguments)
    turns, runs, epochs = (1, 2, 1) if args.quick else (args.turns, 8, 5)
    share = max(1, joblib.cpu_count() // JOBS)
    of_a_job = {"OMP_NUM_THREADS": str(share)}  # How joblib tells its workers, too.
    everything = configurations(runs, epochs)
    ways = {
        LOOP: [(loop, (everything,), {"OMP_NUM_THREADS": None})],
        ONE: [(grid, (everything, 1), of_a_job)],
        TWO: [(grid, (everything, JOBS), {"OMP_NUM_THREADS": None})],
        LIMIT: [(loop, (everything[job::JOBS],), of_a_job) for job in range(JOBS)],
    }
    measured = []
    for turn in range(turns):
        results = {}
        for name in rotated(list(ways), turn):
            results[name], times = timed(ways[name])
            measured.append({"way": name, "turn": turn, **times})
        check(results)
    write_table(table(pd.DataFrame(measured), runs, epochs, share, turns), args.out)


def timed(processes):
    """Run these processes at once; the rows of all their runs, and how long it took."""
    start = time.time()
    with concurrent.futures.ThreadPoolExecutor(len(processes)) as pool:
        tasks = [
            pool.submit(in_fresh_process, function, *arguments, environment=environment)
            for function, arguments, environment in processes
        ]
        rows = [row for task in tasks for row in task.result()]
    end = time.time()
    return rows, {
        "seconds": end - start,
        "until_first_run": min(row["began"] for row in rows) - start,
        "per_run": float(np.median([row["ended"] - row["began"] for row in rows])),
    }


def table(measured, runs, epochs, share, turns):
    """One row for each way: medians over turns, ratios within each turn."""
    seconds = measured.pivot(index="way", columns="turn", values="seconds")
    to_two = seconds / seconds.loc[TWO]
    medians = measured.groupby("way", sort=False).median()
    at_once = pd.Series({LOOP: 1, ONE: 1, TWO: JOBS, LIMIT: JOBS})
    for_a_run = medians["per_run"] / at_once
    return pd.DataFrame(
        [
            {
                "way": name,
                "seconds": round(row["seconds"], 1),
                "speed_up_of_two_jobs": round(to_two.loc[name].median(), 2),
                "low": round(to_two.loc[name].min(), 2),
                "high": round(to_two.loc[name].max(), 2),
                "until_first_run": round(row["until_first_run"], 1),
                "per_run": round(row["per_run"], 1),
                "speed_up_without_start": round(for_a_run[name] / for_a_run[TWO], 2),
                "runs": runs,
                "epochs": epochs,
                "threads_of_a_job": share,
                "turns": turns,
            }
            for name, row in medians.iterrows()
        ]
    )


def configurations(runs, epochs):
    """Seeds and rules, as the experiments of the paper vary them."""
    return [
        {"seed": number // 2, "which": ("most", "random")[number % 2], "epochs": epochs}
        for number in range(runs)
    ]


def loop(configurations):
    """All these runs in this process, one after the other."""
    import keras

    from kerasft.backend import limit_threads

    limit_threads()
    results = []
    for configuration in configurations:
        results += [{**configuration, **row} for row in fine_tuning_run(configuration)]
        keras.utils.clear_session(free_memory=True)
    return results


def grid(configurations, jobs):
    """All these runs by `run_grid`."""
    import joblib

    from kerasft.experiments import run_grid

    with tempfile.TemporaryDirectory() as folder, joblib.parallel_config("loky", n_jobs=jobs):
        rows = run_grid(
            fine_tuning_run,
            configurations,
            {},
            pathlib.Path(folder) / "runs.csv",
            description="Fine-tuning",
        )
    return rows[[*RUN, *RESULT, "began", "ended"]].to_dict("records")


def fine_tuning_run(configuration):
    """Rank, select, fine-tune for a fixed number of epochs, test."""
    import keras

    import kerasft

    began = time.time()
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
            "began": began,
            "ended": time.time(),
        }
    ]


def check(results):
    """However the runs are done, they give the same."""
    tables = {
        name: pd.DataFrame(rows).set_index(RUN).sort_index() for name, rows in results.items()
    }
    for name in (ONE, LIMIT):
        pd.testing.assert_frame_equal(tables[name][RESULT], tables[TWO][RESULT], check_exact=True)
    early = ["first_loss", "trained_parameters"]
    pd.testing.assert_frame_equal(tables[LOOP][early], tables[TWO][early], rtol=1e-3)


if __name__ == "__main__":
    main()
