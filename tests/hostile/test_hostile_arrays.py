"""Arrays that are no images or no labels, given to Python functions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hostile_material import small_model

import kerasft
from kerasft.labelled_set import read_labelled_set
from kerasft.susceptibility import FilterRanking


@pytest.fixture(scope="module")
def model():
    return small_model()


def images(count=6, dtype="float32", value=100.0, shape=(8, 8, 3)):
    return np.full((count, *shape), value, dtype)


LABELS = np.array([0, 1] * 3)
RAGGED = [[[1.0, 2.0]], [[3.0]]]
NUMBERS = "Expected {name} images of numbers. Received: dtype "
ONE_ARRAY = "Expected {name} images as one array of shape"
SHAPE = "Expected {name} images of shape (None, 8, 8, 3)"

IMAGES = {
    "objects": (images().astype(object), NUMBERS + "object"),
    "texts": (images().astype(str), NUMBERS + "<U"),
    "complex": (images(dtype="complex64"), NUMBERS + "complex64"),
    "dates": (np.zeros((6, 8, 8, 3), "datetime64[s]"), NUMBERS + "datetime64"),
    "records": (np.zeros((6, 8, 8, 3), [("r", "u1")]), NUMBERS + "[('r', 'u1')]"),
    "a list of images": (list(images()), ONE_ARRAY),
    "two arrays": ([images(), images()], ONE_ARRAY),
    "gray": (images(shape=(8, 8, 1)), SHAPE),
    "of another size": (images(shape=(8, 9, 3)), SHAPE),
    "one image": (np.full((6, 8, 3), 1.0), SHAPE),
    "too deep": (images(shape=(1, 8, 8, 3)), SHAPE),
    "flat": (images(shape=(192,)), SHAPE),
}


@pytest.mark.parametrize("side", ["clean", "distorted"])
@pytest.mark.parametrize("case", IMAGES)
def test_rank_filters_refuses_what_is_no_images(model, case, side):
    bad, message = IMAGES[case]
    pair = (bad, images()) if side == "clean" else (images(), bad)
    with pytest.raises(ValueError, match=r"^Expected .*Received: ") as caught:
        kerasft.rank_filters(model, *pair)
    # Where both are looked at together, the number of images is what differs first.
    assert str(caught.value).startswith((message.format(name=side), "Expected as many"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("case", IMAGES)
def test_fine_tune_refuses_what_is_no_images(model, case, side):
    bad, message = IMAGES[case]
    _tune_refused(model, {side: (bad, LABELS)}, message.format(name=side))


LABELLED = {
    "texts": (["cat", "dog"] * 3, "as an array of numbers. Received: dtype <U3"),
    "objects": (np.array([0, None] * 3), "as an array of numbers. Received: dtype object"),
    "ragged": ([[0], [0, 1]] * 3, "as one array. Received: list of parts of different lengths"),
    "complex": (LABELS + 1j, "as an array of numbers. Received: dtype complex128"),
    "a number": (3, "as an array of numbers. Received: dtype int64, shape ()"),
    "nothing": (None, "as an array of numbers. Received: dtype object, shape ()"),
    "infinite": ([0, 1, np.inf, 0, 1, 0], "Expected finite labels in"),
    "NaN": ([0, 1, np.nan, 0, 1, 0], "Expected finite labels in"),
    "negative": ([0, 1, -1, 0, 1, 0], "Expected labels from 0 to 1 in {name}. Received: -1 to 1."),
    "from 1": (LABELS + 1, "Expected labels from 0 to 1 in {name}. Received: 1 to 2."),
    "between classes": (LABELS / 2, "Expected labels in {name} as whole numbers. Received: 0.5."),
    "one-hot of three": (np.eye(3)[LABELS], "Expected one-hot labels for 2 classes in {name}"),
    "too few": (LABELS[:5], "Received: 6 images and 5 labels"),
    "empty": ([], "Received: 6 images and 0 labels"),
}


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("case", LABELLED)
def test_fine_tune_refuses_what_is_no_labels(model, case, side):
    labels, message = LABELLED[case]
    _tune_refused(model, {side: (images(), labels)}, message.format(name=side))


NO_ARRAYS = {"lists of numbers": images().tolist(), "nothing": None, "numbers": list(np.ones(6))}


@pytest.mark.parametrize("case", NO_ARRAYS)
def test_fine_tune_refuses_what_is_no_array(model, case):
    message = "Expected train images as an array, or one for each input of the model. Received: "
    _tune_refused(model, {"train": (NO_ARRAYS[case], LABELS)}, message)


WEIGHTED = {
    "texts": (["much", "little"] * 3, "Expected weights in {name} as an array of numbers"),
    "NaN": ([1, 1, np.nan, 1, 1, 1], "Expected finite weights in {name}. Received: NaN"),
    "too few": (np.ones(5), "one weight for each of the 6 images in {name}. Received: weights of"),
    "of classes": (np.ones((6, 2)), "one weight for each of the 6 images in {name}. Received: wei"),
}


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("case", WEIGHTED)
def test_fine_tune_refuses_what_is_no_weights(model, case, side):
    weights, message = WEIGHTED[case]
    _tune_refused(model, {side: (images(), LABELS, weights)}, message.format(name=side))


def test_a_dataset_with_nan_in_its_weights_is_refused(model):
    weights = np.full(6, np.nan)
    dataset = tf.data.Dataset.from_tensors((images(), LABELS, weights))
    _tune_refused(model, {"train": dataset}, "Expected finite weights in train")


def test_a_dataset_of_labels_that_are_texts_is_refused(model):
    texts = tf.data.Dataset.from_tensors((images(), np.array(["cat", "dog"] * 3)))
    _tune_refused(model, {"train": texts}, "Expected labels in train as an array of numbers")


def test_a_dataset_without_labels_is_refused(model):
    class Unlabelled(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return images(), None, np.ones(6)

    _tune_refused(model, {"train": Unlabelled()}, "Expected labels in train as an array of numbers")


@pytest.mark.parametrize(("shape", "taken"), [((6, 8, 8), True), ((6, 8), True), ((6, 3), False)])
def test_weights_of_labels_of_each_position(shape, taken):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1, name="conv")])
    labels = np.zeros((6, 8, 8), "int64")
    read = (images(), labels, np.ones(shape)), "train", model
    if taken:
        assert len(read_labelled_set(*read)[0]) == 3
    else:
        with pytest.raises(ValueError, match="Expected one weight for each of the 6 images"):
            read_labelled_set(*read)


def test_labels_of_two_kinds_are_refused(model):
    one_hot = (images(), np.eye(2)[LABELS])
    _tune_refused(model, {"validation": one_hot}, "Expected labels of one kind")


def test_labels_of_two_classes_for_one_output():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten()]
        + [keras.layers.Dense(1, "sigmoid")]
    )
    _tune_refused(model, {"train": (images(), LABELS + 1)}, "Expected labels from 0 to 1 in train")


RANGES = {
    "NaN in train": ({"train": (images(value=np.nan), LABELS)}, "Expected finite pixels in train"),
    "infinity in validation": (
        {"validation": (images(value=-np.inf), LABELS)},
        "Expected finite pixels in validation",
    ),
    "validation from 0 to 1": (
        {"validation": (images(value=0.5), LABELS)},
        "Received: values up to 100 and up to 0.5.",
    ),
    "train from 0 to 1": (
        {"train": (images(value=0.5), LABELS)},
        "Received: values up to 0.5 and up to 100.",
    ),
    "no images": ({"train": (images(0), [])}, "Received: 0 images and 0 labels"),
    "epochs 0": ({"epochs": 0}, "epochs as a whole number of at least 1. Received: 0."),
    "epochs 2.5": ({"epochs": 2.5}, "epochs as a whole number of at least 1. Received: 2.5."),
    "patience -1": ({"patience": -1}, "patience as a whole number of at least 0. Received: -1."),
    "batch_size 0": ({"batch_size": 0}, "batch_size as a whole number of at least 1. Received: 0"),
    "batch_size True": ({"batch_size": True}, "batch_size as a whole number"),
    "seed -1": ({"seed": -1}, "seed as a whole number from 0 to 4294967295"),
    "seed 2³²": ({"seed": 2**32}, "seed as a whole number from 0 to 4294967295"),
    "seed 'x'": ({"seed": "x"}, "seed as a whole number from 0 to 4294967295"),
}


@pytest.mark.parametrize("case", RANGES)
def test_fine_tune_refuses_what_cannot_be_trained(model, case):
    _tune_refused(model, *RANGES[case])


def test_fine_tune_refuses_nan_in_the_weights(model):
    broken = small_model()
    kernel, bias = broken.get_layer("head").get_weights()
    kernel[0] = np.nan
    broken.get_layer("head").set_weights([kernel, bias])
    _tune_refused(broken, {}, "Expected a model with numbers as weights. Received: ")


def test_an_image_without_its_axis_of_one_channel_is_what_keras_takes():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten()]
        + [keras.layers.Dense(2, "softmax")]
    )
    flat = (images(shape=(8, 8)), LABELS)
    tuned = kerasft.fine_tune(model, flat, flat, selection={"conv": [0]}, epochs=1, verbose=0)
    assert len(tuned.history.epoch) == 1


def _tune_refused(model, changes, message):
    arguments = {"train": (images(), LABELS), "validation": (images(), LABELS), **changes}
    before = [w.tobytes() for w in model.get_weights()]
    with pytest.raises(ValueError, match=r"^Expected .*Received: ") as caught:
        kerasft.fine_tune(model, selection={"conv": [0]}, verbose=0, **{"epochs": 1, **arguments})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [w.tobytes() for w in model.get_weights()] == before


OTHERS = {
    "exemplars of objects": lambda model: kerasft.rank_filters_from_exemplars(
        model, images().astype(object), images()
    ),
    "exemplars of complex": lambda model: kerasft.rank_filters_from_exemplars(
        model, images(dtype="complex64"), images()
    ),
    "exemplar of texts": lambda model: kerasft.find_exemplar(images().astype(str)),
    "exemplar of nothing": lambda model: kerasft.find_exemplar(images(0)),
    "exemplar of NaN": lambda model: kerasft.find_exemplar(images(value=np.nan)),
    "blur of texts": lambda model: kerasft.gaussian_blur(images().astype(str), 1),
    "blur of one image": lambda model: kerasft.gaussian_blur(images()[0], 1),
    "blur of complex": lambda model: kerasft.gaussian_blur(images(dtype="complex64"), 1),
    "noise on NaN": lambda model: kerasft.additive_white_gaussian_noise(
        images(value=np.nan), 5, seed=0
    ),
    "a dataset of texts": lambda model: kerasft.rank_filters(
        model, tf.data.Dataset.from_tensors(images().astype(str)), images()
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_functions_refuse_them_too(model, case):
    with pytest.raises((ValueError, TypeError), match=r"^Expected .*Received: ") as caught:
        OTHERS[case](model)
    assert "\n" not in str(caught.value)


def ranking_of(**filters):
    return FilterRanking(
        {
            name: kerasft.LayerRanking.from_votes(range(number), np.ones(number), 1)
            for name, number in filters.items()
        }
    )


RANKINGS = {
    "more filters": (
        ranking_of(conv=8),
        ValueError,
        "4 filters of layer 'conv'. Received: on",
    ),
    "fewer filters": (
        ranking_of(conv=2),
        ValueError,
        "4 filters of layer 'conv'. Received: on",
    ),
    "another layer": (ranking_of(conv1=4), ValueError, "a layer in the model. Received: 'conv1'"),
    "a layer of another kind": (ranking_of(head=2), ValueError, "Received: 'head', a Dense"),
    "a layer besides": (ranking_of(conv=4, conv9=4), ValueError, "Received: 'conv9'"),
    "a dictionary": ({"conv": [0]}, TypeError, "ranking as a FilterRanking. Received: dict"),
    "a path": ("ranking.json", TypeError, "ranking as a FilterRanking. Received: str"),
}


@pytest.mark.parametrize("case", RANKINGS)
def test_a_ranking_of_another_model_is_refused(model, case):
    ranking, kind, message = RANKINGS[case]
    data = (images(), LABELS)
    with pytest.raises(kind, match=r"^Expected .*Received: ") as caught:
        kerasft.fine_tune(model, data, data, ranking=ranking, epochs=1, verbose=0)
    assert message in str(caught.value)


@pytest.mark.parametrize("fraction", ["0.25", None, [0.25], 1j])
def test_a_share_that_is_no_number_is_refused(model, fraction):
    ranking = ranking_of(conv=4)
    if fraction is None:
        assert ranking.select(fraction) == {"conv": [3]}
        return
    with pytest.raises(ValueError, match=r"^Expected a fraction over 0 and at most 1. Received: "):
        ranking.select(fraction)
    with pytest.raises(ValueError, match=r"^Expected a finite threshold. Received: "):
        ranking.select(threshold=fraction)
