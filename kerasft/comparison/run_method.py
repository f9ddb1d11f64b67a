"""One method with one seed: apply it, measure what comes out, and say what it cost."""

import dataclasses
import time

import keras
import numpy as np

from kerasft.comparison.draw import draw_problem
from kerasft.comparison.images import StoredImages
from kerasft.comparison.peak_memory import PeakMemory
from kerasft.comparison.settings import Settings
from kerasft.evaluation import predict_classes
from kerasft.methods import find_learning_rate
from kerasft.methods.convolutions import convolutions
from kerasft.methods.method import Method
from kerasft.seeding import seed_keras

DONE = "done"

# Readers of CSV refuse fields that are very long.
_LONGEST_REASON = 1000


@dataclasses.dataclass(frozen=True)
class ComparisonBench:
    """What the runs of a comparison share; travels to worker processes.

    Attributes:
        model: Path of the `.keras` file.
        images: Dictionary from the name of a distortion to its
            `StoredImages`.
        settings: The `Settings`.
        methods: Dictionary from name to `Method`.
        dtype_policy: Name of the global policy, for layers that methods make.
        model_policy: Name of the model's own, which scales the loss of a
            model of `float16`; its file does not keep it.
    """

    model: str
    images: dict[str, StoredImages]
    settings: Settings
    methods: dict[str, Method]
    dtype_policy: str
    model_policy: str


def run_method(bench, configuration):
    """One run of a comparison.

    Args:
        bench: A `ComparisonBench`.
        configuration: Dictionary of `distortion`, `method` (their names) and
            `seed`.

    Returns:
        List of one row: `status`, `"done"` or why the method was left out, and
        what was measured, `None` where it was not.
    """
    # Worker processes start with another, and between runs it is reset.
    keras.config.set_dtype_policy(bench.dtype_policy)
    method, seed = bench.methods[configuration["method"]], configuration["seed"]
    images = bench.images[configuration["distortion"]].load()
    draw = draw_problem(_load(bench), images, bench.settings, seed)
    row = dict.fromkeys(_COLUMNS)
    try:
        reason = _reason_against(method, draw.problem)
        if reason is not None:
            return [row | _left_out(reason)]
        return [row | {"status": DONE} | _measure(method, draw, images, bench.settings, seed)]
    except ValueError as error:
        # Such as NaN from a training that diverged; the other methods are still to be had.
        return [row | _left_out(error)]
    except Exception as error:
        # A note, as the kind of error tells callers of memory that ran out and of full disks.
        error.add_note(
            f"Method {method.name!r} failed so on {configuration['distortion']!r} with seed {seed}."
        )
        raise


# What a run measures.
NUMBERS = (
    "distorted_accuracy",
    "clean_accuracy",
    "validation_accuracy",
    "labels_needed",
    "trained_parameters",
    "trained_share",
    "layers_share",
    "added_parameters",
    "learning_rate",
    "epochs",
    "seconds",
    "peak_memory_mib",
)
_COLUMNS = ("status", *NUMBERS)


def _left_out(reason):
    text = " ".join(str(reason).split())
    if len(text) > _LONGEST_REASON:
        text = f"{text[: _LONGEST_REASON - 1]}…"
    return {"status": f"left out: {text}"}


def apply_method(method, problem, learning_rate, seed):
    """Apply a method with a learning rate.

    Args:
        method: A `Method`.
        problem: A `Problem`.
        learning_rate: A number.
        seed: Seed of the method.

    Returns:
        An `Outcome`.
    """
    # For methods that do not care; those of the package seed themselves.
    seed_keras(seed)
    return method.apply(dataclasses.replace(problem, learning_rate=learning_rate), seed)


def _load(bench):
    try:
        # Written by this program from a model that is in memory.
        model = keras.saving.load_model(bench.model, compile=False, safe_mode=False)
    except Exception as error:  # Keras lets through whatever its readers raise.
        raise ValueError(
            "Expected a model that can be saved and loaded, its own classes registered with "
            f"keras.saving.register_keras_serializable. Received: {type(error).__name__}: {error}."
        ) from error
    model.dtype_policy = bench.model_policy
    return model


def _reason_against(method, problem):
    if method.needs_labels and problem.labels is None:
        return "It needs labels of distorted images."
    return method.reason_against(problem)


def _measure(method, draw, images, settings, seed):
    problem, learning_rate = draw.problem, settings.learning_rate
    with PeakMemory() as memory:
        start = time.perf_counter()
        if learning_rate == "search":
            learning_rate = problem.learning_rate
            # Others would be tuned by labels that they are booked as not needing.
            if method.needs_labels:
                learning_rate = find_learning_rate(method, problem, seed)
        outcome = apply_method(method, problem, learning_rate, seed)
        seconds = time.perf_counter() - start
    model, trained = outcome.model, outcome.trained_parameters
    tuned = sum(layer.count_params() for layer in convolutions(problem).values())
    clean_accuracy = None
    if images.clean_test_images is not None:
        clean_accuracy = _accuracy(model, images.clean_test_images, images.clean_test_labels)
    return {
        "distorted_accuracy": _accuracy(model, images.test_images, images.test_labels),
        "clean_accuracy": clean_accuracy,
        "validation_accuracy": _accuracy(model, *draw.validation),
        "labels_needed": draw.labels if method.needs_labels else 0,
        "trained_parameters": int(trained),
        "trained_share": trained / problem.model.count_params(),
        "layers_share": trained / tuned if tuned else None,
        "added_parameters": int(outcome.added_parameters),
        "learning_rate": float(learning_rate) if trained else None,
        "epochs": int(outcome.epochs),
        "seconds": round(seconds, 2),
        "peak_memory_mib": round(memory.mib, 1),
    }


def _accuracy(model, images, labels):
    return float(np.mean(predict_classes(model, np.asarray(images)) == labels))
