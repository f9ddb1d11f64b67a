"""Functions that runs of a grid call in processes of their own."""

import os
import pathlib
import time


def square(configuration):
    return [{"square": configuration["number"] ** 2, "half": configuration["number"] / 2}]


def slow_square(configuration):
    time.sleep(0.05)
    return square(configuration)


def two_rows(configuration):
    return [{"layer": name, "value": configuration["number"]} for name in ("conv1", "conv2")]


def slow_two_rows(configuration):
    time.sleep(0.05)
    return two_rows(configuration)


def fails_at_three(configuration):
    if configuration["number"] == 3:
        raise ValueError("Expected anything but three. Received: 3.")
    return square(configuration)


def leave_a_mark(configuration):
    pathlib.Path(configuration["folder"], str(configuration["number"])).touch(exist_ok=False)
    return square(configuration)


def threads(configuration):
    import tensorflow as tf

    return [
        {
            "process": os.getpid(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        }
    ]
