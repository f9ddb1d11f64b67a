"""Our method where accuracy on clean images is to be kept."""

import dataclasses

import keras
import numpy as np
import pytest
from changed_filters import changed_filters

from kerasft.evaluation import predict_classes
from kerasft.methods import METHODS, Outcome, clean_kept

CLEAN_KEPT = "sensitive filters, clean kept"


@pytest.fixture
def seen(monkeypatch):
    """What is trained, and what the weights between are judged by, without any training."""
    seen = {}

    def train(model, chosen_by, to_train, seed, *, scaled):
        seen.update(model=model, chosen_by=chosen_by, problem=to_train, scaled=scaled)
        return Outcome(model)

    def judge(before, after, images, labels, kept=None):
        seen.update(judged_by=(images, labels), kept=kept)
        return after

    monkeypatch.setattr(clean_kept, "choose_and_train", train)
    monkeypatch.setattr(clean_kept, "interpolate", judge)
    return seen


def test_it_trains_on_both_and_holds_clean_images_out(problem, seen):
    METHODS[CLEAN_KEPT].apply(problem, 3)
    assert seen["model"] is problem.model
    assert seen["chosen_by"].labels.ndim == 1
    assert seen["scaled"] is False
    assert seen["kept"] is None
    np.testing.assert_array_equal(seen["judged_by"][0], seen["problem"].validation[0])
    n = len(problem.distorted)
    held = n // 5
    trained, validation = seen["problem"].distorted, seen["problem"].validation
    clean = {image.tobytes(): index for index, image in enumerate(problem.clean)}
    distorted = {image.tobytes(): index for index, image in enumerate(problem.distorted)}
    assert len(trained) == 2 * (n - held)
    kept = [distorted[image.tobytes()] for image in trained[: n - held]]
    # The clean versions of the same images, in the same order.
    assert [clean[image.tobytes()] for image in trained[n - held :]] == kept
    # Distorted images first, then as many clean ones.
    count = len(problem.validation[0])
    np.testing.assert_array_equal(validation[0][:count], problem.validation[0])
    assert len(validation[0]) == 2 * count
    checked = [clean[image.tobytes()] for image in validation[0][count:]]
    assert len(set(checked)) == min(held, count)
    # Of a pair that is held out neither version is trained on.
    assert not set(checked) & set(kept)
    assert len(set(kept)) == n - held
    np.testing.assert_array_equal(validation[1][count:].argmax(axis=1), problem.labels[checked])
    # Both versions have the same labels, half of them the image's own.
    soft = seen["problem"].labels
    np.testing.assert_allclose(soft[: n - held], soft[n - held :], atol=1e-6)
    assert (soft[np.arange(n - held), problem.labels[kept]] >= 0.5).all()


def test_it_keeps_clean_accuracy_and_statistics(problem, outcome_of, accuracy):
    def clean(images):
        return images

    source, plain, kept = (
        problem.model,
        outcome_of("sensitive filters").model,
        outcome_of(CLEAN_KEPT).model,
    )
    assert accuracy(kept, clean) > accuracy(plain, clean) + 0.05
    assert accuracy(kept, clean) > accuracy(source, clean) - 0.05
    assert accuracy(kept) > accuracy(source) + 0.1
    assert changed_filters(source, kept)[1] == []


@pytest.fixture
def others(digits):
    """Clean images that are in no pair: of those that the network was trained on."""
    images, labels = digits
    return images[:450], labels[:450]


def test_other_clean_images_are_trained_on_and_held_out(problem, others, seen):
    METHODS[CLEAN_KEPT].apply(dataclasses.replace(problem, other_clean=others), 3)
    n, to_train = len(problem.distorted), seen["problem"]
    # No pair is held out where other images can be.
    np.testing.assert_array_equal(to_train.distorted[:n], problem.distorted)
    np.testing.assert_array_equal(to_train.distorted[n : 2 * n], problem.clean)
    index = {image.tobytes(): i for i, image in enumerate(others[0])}
    more = [index[image.tobytes()] for image in to_train.distorted[2 * n :]]
    held = [index[image.tobytes()] for image in seen["kept"][0]]
    assert sorted(more + held) == list(range(450))
    assert (len(more), len(held)) == (150, 300)
    # Their labels are the source network's, those of the pairs half so.
    said = problem.model.predict(others[0][more], verbose=0)
    np.testing.assert_allclose(to_train.labels[2 * n :], said, atol=1e-6)
    assert (to_train.labels[np.arange(n), problem.labels] >= 0.5).all()
    np.testing.assert_array_equal(seen["kept"][1], others[1][held])
    # Filters are chosen by pairs, weights judged by the distorted validation images alone.
    assert len(seen["chosen_by"].distorted) == 2 * n
    for used, given in zip(seen["judged_by"], problem.validation, strict=True):
        np.testing.assert_array_equal(used, given)
    # The training is stopped by as many held-out images as distorted ones.
    count = len(problem.validation[1])
    stopping = [index[image.tobytes()] for image in to_train.validation[0][count:]]
    assert stopping == held[:count]
    np.testing.assert_array_equal(
        to_train.validation[1][count:].argmax(axis=1), others[1][stopping]
    )


def test_other_clean_images_need_no_labels(problem, others, seen):
    METHODS[CLEAN_KEPT].apply(dataclasses.replace(problem, other_clean=(others[0], None)), 3)
    images, labels = seen["kept"]
    np.testing.assert_array_equal(labels, predict_classes(problem.model, images))


@pytest.mark.parametrize(("count", "used"), [(299, 0), (300, 200), (1700, 1000)])
def test_few_other_clean_images_are_not_used_and_of_many_a_part(problem, digits, seen, count, used):
    images, labels = digits
    others = images[:count], labels[:count]
    METHODS[CLEAN_KEPT].apply(dataclasses.replace(problem, other_clean=others), 3)
    assert (0 if seen["kept"] is None else len(seen["kept"][1])) == used


@pytest.mark.parametrize(("count", "held"), [(999, 0), (1000, 200)])
def test_a_fifth_of_many_pairs_sets_the_limit_where_there_are_no_others(
    problem, digits, seen, count, held
):
    images, labels = (part[:count] for part in digits)
    many = dataclasses.replace(
        problem, distorted=images + 0.5, labels=labels, clean=images, clean_labels=labels
    )
    METHODS[CLEAN_KEPT].apply(many, 3)
    if not held:
        assert seen["kept"] is None
        assert len(seen["judged_by"][1]) == 2 * len(problem.validation[1])
        return
    np.testing.assert_array_equal(seen["judged_by"][0], problem.validation[0])
    index = {image.tobytes(): i for i, image in enumerate(images)}
    kept = [index[image.tobytes()] for image in seen["kept"][0]]
    assert len(set(kept)) == held
    np.testing.assert_array_equal(seen["kept"][1], labels[kept])
    # Of these pairs neither version is trained on.
    trained = {image.tobytes() for image in seen["problem"].distorted}
    assert len(seen["problem"].distorted) == 2 * (count - held)
    assert not trained & {images[i].tobytes() for i in kept}


@pytest.mark.parametrize("paired", [True, False])
def test_no_more_of_the_clean_accuracy_is_lost_than_held_out_images_allow(
    problem, others, accuracy, paired
):
    if paired:
        with_others = dataclasses.replace(problem, other_clean=others)
    else:
        with_others = _without_pairs(problem, others)
    assert METHODS[CLEAN_KEPT].reason_against(with_others) is None
    model = METHODS[CLEAN_KEPT].apply(with_others, 0).model
    assert accuracy(model) > accuracy(problem.model) + 0.1
    # The network knows these by heart, so what is lost of them is known too.
    right = [np.mean(predict_classes(m, others[0]) == others[1]) for m in (problem.model, model)]
    assert right[0] - right[1] <= 0.02
    assert changed_filters(problem.model, model)[1] == []


def _without_pairs(problem, others):
    images, labels = others
    return dataclasses.replace(problem, clean=images, clean_labels=labels, paired=False)


def test_without_pairs_clean_images_are_the_others(problem, others, seen):
    METHODS[CLEAN_KEPT].apply(_without_pairs(problem, others), 3)
    n, to_train = len(problem.distorted), seen["problem"]
    np.testing.assert_array_equal(seen["chosen_by"].distorted, problem.distorted)
    np.testing.assert_array_equal(to_train.distorted[:n], problem.distorted)
    np.testing.assert_array_equal(
        to_train.labels[:n], keras.utils.to_categorical(problem.labels, 10)
    )
    index = {image.tobytes(): i for i, image in enumerate(others[0])}
    more = [index[image.tobytes()] for image in to_train.distorted[n:]]
    held = [index[image.tobytes()] for image in seen["kept"][0]]
    assert sorted(more + held) == list(range(450))
    said = problem.model.predict(others[0][more], verbose=0)
    np.testing.assert_allclose(to_train.labels[n:], said, atol=1e-6)
    assert to_train.validation[1].shape == (2 * len(problem.validation[1]), 10)


@pytest.mark.parametrize("count", [0, 299])
def test_it_needs_pairs_or_other_clean_images(short, others, count):
    few = tuple(part[:count] for part in others) if count else (None, None)
    reason = METHODS[CLEAN_KEPT].reason_against(_without_pairs(short, few))
    assert reason == (
        "There are no clean versions of the distorted images. "
        "Of other clean ones there are fewer than 300."
    )


def test_a_single_pair_cannot_be_trained_on_and_held_out(short):
    def first(count):
        cut = {name: getattr(short, name)[:count] for name in ("distorted", "labels", "clean")}
        return dataclasses.replace(short, **cut, clean_labels=None)

    assert METHODS[CLEAN_KEPT].reason_against(first(2)) is None
    reason = METHODS[CLEAN_KEPT].reason_against(first(1))
    assert reason.startswith("A single pair cannot be trained on and held out too.")
