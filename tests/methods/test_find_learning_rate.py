"""The learning rate is chosen by validation images alone, the same way for all methods."""

import dataclasses
import random

import keras
import numpy as np
import pytest

from kerasft.methods import METHODS, Method, Outcome, Problem, find_learning_rate


def constant(logits):
    """A model that gives every image the same outputs."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(len(logits), kernel_initializer="zeros")]
    )
    model.layers[0].bias.assign(logits)
    return model


@pytest.fixture(scope="module")
def small():
    images = np.zeros((6, 2), "float32")
    validation = images, np.array([0, 0, 0, 0, 1, 2])
    return Problem(constant([0, 0, 0]), images, np.full(6, 2), validation, learning_rate=0.5)


def method_of(outputs, calls=None):
    """A method whose result depends on the learning rate as given."""

    def apply(problem, seed):
        if calls is not None:
            calls.append((problem, seed))
        return Outcome(constant(outputs[problem.learning_rate]), epochs=1)

    return Method("fake", apply, True, lambda problem: None)


def test_the_lowest_validation_loss_wins(small):
    # The training labels, all 2, would choose the last.
    outputs = {0.1: [0, 0, 0], 0.2: [2, 0, 0], 0.3: [9, 0, 0], 0.4: [0, 0, 3]}
    assert find_learning_rate(method_of(outputs), small, 0, rates=outputs) == 0.2


def test_equal_losses_are_told_apart_by_accuracy_then_by_order(small):
    # Of two labels 0 and 2, symmetric outputs have the same loss; ties go to class 0.
    validation = np.zeros((3, 2), "float32"), np.array([0, 1, 2])
    even = dataclasses.replace(small, validation=validation)
    outputs = {0.1: [0, 0, 0], 0.2: [0, 0, 0]}
    assert find_learning_rate(method_of(outputs), even, 0, rates=(0.2, 0.1)) == 0.2
    assert find_learning_rate(method_of(outputs), even, 0, rates=(0.1, 0.2)) == 0.1


def test_a_rate_that_diverges_never_wins(small):
    outputs = {0.1: [np.nan, 0, 0], 0.2: [-5, 0, 9]}
    assert find_learning_rate(method_of(outputs), small, 0, rates=outputs) == 0.2


def test_a_rate_that_is_refused_never_wins_but_is_told_where_all_are(small):
    outputs = {0.1: [0, 0, 0], 0.2: [2, 0, 0]}
    working = method_of(outputs)

    def apply(problem, seed):
        if problem.learning_rate not in outputs:
            raise ValueError(f"Expected less than {problem.learning_rate}.")
        return working.apply(problem, seed)

    method = dataclasses.replace(working, apply=apply)
    assert find_learning_rate(method, small, 0, rates=(0.3, 0.1, 0.2, 0.4)) == 0.2
    with pytest.raises(ValueError, match=r"less than 0\.4"):
        find_learning_rate(method, small, 0, rates=(0.3, 0.4))


def test_every_rate_is_tried_with_everything_else_the_same(small):
    calls = []
    outputs = {rate: [0, 0, 0] for rate in (1e-4, 3e-4, 1e-3, 3e-3)}
    find_learning_rate(method_of(outputs, calls), small, 7)
    assert [(p.learning_rate, seed) for p, seed in calls] == [(r, 7) for r in outputs]
    for problem, _ in calls:
        assert dataclasses.replace(problem, learning_rate=0.5) == small


def test_every_rate_is_tried_with_the_same_random_numbers(small):
    drawn = []
    working = method_of({0.1: [0, 0, 0], 0.2: [0, 0, 0]})

    def apply(problem, seed):
        drawn.append(random.random())
        return working.apply(problem, seed)

    find_learning_rate(dataclasses.replace(working, apply=apply), small, 7, rates=(0.1, 0.2))
    assert drawn[0] == drawn[1]


def test_a_method_that_trains_nothing_keeps_the_rate(problem):
    for name in ("nothing", "batch norm"):
        assert find_learning_rate(METHODS[name], problem, 0) == problem.learning_rate


def test_nothing_is_run_without_validation_images(small):
    without = dataclasses.replace(small, validation=None)
    assert find_learning_rate(method_of({}), without, 0) == 0.5


@pytest.mark.parametrize("rates", [(), (0.1, 0), (-1,)])
def test_bad_rates(small, rates):
    with pytest.raises(ValueError, match=r"Expected rates as learning rates over 0\. Received"):
        find_learning_rate(method_of({}), small, 0, rates=rates)


def test_a_rate_with_which_something_is_learned_wins(problem):
    short = dataclasses.replace(problem, epochs=2)
    assert find_learning_rate(METHODS["first layers"], short, 0, rates=(1e-7, 1e-2)) == 1e-2


def test_a_rate_with_which_a_method_of_the_package_diverges_does_not_win(short):
    small, method = dataclasses.replace(short, layers=("conv1",)), METHODS["gradient"]
    assert find_learning_rate(method, small, 0, rates=(1e30, 1e-3)) == 1e-3


def test_a_method_without_labels_is_scored_by_those_of_validation(short):
    unlabelled = dataclasses.replace(short, labels=None, clean=None, clean_labels=None)
    # The other one diverges.
    rates = (1e8, 1e-3)
    assert find_learning_rate(METHODS["tent"], unlabelled, 0, rates=rates) == 1e-3
