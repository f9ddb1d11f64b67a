"""What cannot be ranked is refused in one sentence, before the model runs where it can be known."""

import keras
import numpy as np
import pytest

import kerasft
from kerasft.susceptibility.feature_maps import FeatureMaps


class Dataset:
    """The same images where their number and shape are not known beforehand."""

    def __init__(self, images, batched=True):
        self.batches = [images[i : i + 4] for i in range(0, len(images), 4)] if batched else images

    def __iter__(self):
        return iter(self.batches)


def images(count=6, size=8, channels=3, value=100.0):
    return np.full((count, size, size, channels), value, "float32")


def with_bad(bad):
    """Images of which the last has one bad pixel."""
    result = images()
    result[-1, 2, 3, 1] = bad
    return result


BEFORE = {
    "more clean": (images(6), images(5), {}, "as many clean as distorted .* 6 clean and 5 dist"),
    "more distorted": (images(5), images(6), {}, "as many clean as .* 5 clean and 6 distorted"),
    "no images": (images(0), images(0), {}, "at least one pair of images. Received: none"),
    "empty list": ([], [], {}, "at least one pair of images. Received: none"),
    "no batches": (
        Dataset(images(0)),
        Dataset(images(0)),
        {},
        "at least one pair of images. Received: none",
    ),
    "one is empty": (images(6), images(0), {}, "as many clean as distorted .* 6 clean and 0 dist"),
    "other sizes": (images(), images(size=9), {}, r"distorted images of shape \(None, 8, 8, 3\)"),
    "gray": (
        images(channels=1),
        images(channels=1),
        {},
        r"clean images of shape \(None, 8, 8, 3\) as the model 'small' takes. "
        r"Received: \(6, 8, 8, 1\)",
    ),
    "one image": (images()[0], images()[0], {}, r"clean images of shape .* \(8, 8, 3\)"),
    "images and labels": (
        (images(), np.zeros(6)),
        (images(), np.zeros(6)),
        {},
        "clean images as one array .* Received: 2 arrays",
    ),
    "list of images": (list(images()), list(images()), {}, "as one array .* Received: 6 arrays"),
    "gray in a dataset": (
        Dataset(images(channels=1)),
        Dataset(images(channels=1)),
        {},
        r"clean images of shape \(None, 8, 8, 3\) .* Received: \(6, 8, 8, 1\)",
    ),
    "dataset without batches": (
        Dataset(images(), batched=False),
        Dataset(images(), batched=False),
        {},
        r"clean images of shape \(None, 8, 8, 3\) .* Received: \(48, 8, 3\)",
    ),
    "unknown layer": (
        images(),
        images(),
        {"layers": ["conv7"]},
        r"a layer in the model. Received: 'conv7'. Its Conv2D layers are \['first', 'second'\]",
    ),
    "dense layer": (images(), images(), {"layers": ["head"]}, "a Conv2D .* 'head', a Dense"),
    "no layers": (images(), images(), {"layers": []}, "at least one layer. Received: none"),
    "batch_size 0": (
        images(),
        images(),
        {"batch_size": 0},
        "batch_size .* at least 1. Received: 0",
    ),
    "batch_size -4": (images(), images(), {"batch_size": -4}, "batch_size .* Received: -4"),
    "batch_size 2.5": (images(), images(), {"batch_size": 2.5}, "batch_size .* Received: 2.5"),
    "batch_size '8'": (images(), images(), {"batch_size": "8"}, "batch_size .* Received: '8'"),
    "batch_size True": (images(), images(), {"batch_size": True}, "batch_size .* Received: True"),
    "batch_size None": (images(), images(), {"batch_size": None}, "batch_size .* Received: None"),
    "method": (images(), images(), {"method": "exact"}, "'sorted' or 'scipy'. Received: 'exact'"),
    "0–1 beside 0–255": (images(value=0.5), images(), {}, "range. Received: .* 0.5 and up to 100"),
    "0–255 beside 0–1": (images(), images(value=0.5), {}, "range. Received: .* 100 and up to 0.5"),
}


@pytest.fixture
def idle_model(model, monkeypatch):
    """A model that must not run."""

    def compute(self, images):
        raise AssertionError("the model ran")

    monkeypatch.setattr(FeatureMaps, "compute", compute)
    return model


@pytest.mark.parametrize("case", BEFORE)
def test_refused_before_the_model_runs(idle_model, case):
    clean, distorted, arguments, message = BEFORE[case]
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        kerasft.rank_filters(idle_model, clean, distorted, **arguments)


@pytest.fixture(scope="module")
def two_inputs():
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 1), name="right")
    x = keras.layers.Concatenate()([left, right])
    return keras.Model([left, right], keras.layers.Conv2D(2, 3, name="conv")(x), name="two")


PAIR = [images(), images(channels=1)]
SEVERAL = (
    r"clean images as 2 arrays, one for each input of the model 'two', of shapes .* Received: "
)
NOT_TWO = {
    "one": (images(), images(), SEVERAL + r"one array of shape \(6, 8, 8, 3\)\.$"),
    "one in a list": ([images()], [images()], SEVERAL + "one array"),
    "three": ([images()] * 3, [images()] * 3, SEVERAL + r"\[\(6, 8, 8, 3\), .*\]\.$"),
    "other channels": ([images()] * 2, [images()] * 2, SEVERAL + r"\[\(6, 8, 8, 3\), .*\]\.$"),
    "one in a dataset": (Dataset(images()), Dataset(images()), SEVERAL + "one array"),
    "blur": (PAIR, kerasft.GaussianBlur(1.0), "function of all arrays .* Received: GaussianBlur.*"),
}


@pytest.mark.parametrize("case", NOT_TWO)
def test_what_two_inputs_cannot_take_is_refused_before_the_model_runs(idle_model, two_inputs, case):
    clean, distorted, message = NOT_TWO[case]
    with pytest.raises(ValueError, match=f"^Expected .*{message}") as error:
        kerasft.rank_filters(two_inputs, clean, distorted)
    assert "\n" not in str(error.value)


def test_what_two_inputs_take_is_ranked(two_inputs):
    noisy = [x + 1 for x in PAIR]
    expected = kerasft.rank_filters(two_inputs, PAIR, noisy)["conv"].mean_distance
    named = [dict(zip(("left", "right"), pair, strict=True)) for pair in (PAIR, noisy)]
    # The last axis of one is Keras's to add.
    short = [[pair[0], pair[1][..., 0]] for pair in (PAIR, noisy)]
    for clean, distorted in (
        named,
        short,
        (PAIR, lambda pair: [x + 1 for x in pair]),
        (tuple(PAIR), tuple(noisy)),
    ):
        found = kerasft.rank_filters(two_inputs, clean, distorted)["conv"].mean_distance
        np.testing.assert_allclose(found, expected, rtol=1e-6)


TYPES = {
    "number": (5, 5, {}, "images as arrays, a tf.data.Dataset, .* Received: int"),
    "None": (images(), None, {}, "images as arrays, .* Received: NoneType"),
    "nested lists": (images().tolist(), images(), {}, "images as arrays, .* list of list"),
    "text": (images(), "noisy/", {}, "images as arrays, .* Received: str of str"),
    "layers as text": (images(), images(), {"layers": "first"}, "list of layer names. .* 'first'"),
    "layers as number": (images(), images(), {"layers": 5}, "list of layer names. Received: 5"),
}


@pytest.mark.parametrize("case", TYPES)
def test_wrong_type_is_refused_before_the_model_runs(idle_model, case):
    clean, distorted, arguments, message = TYPES[case]
    with pytest.raises(TypeError, match=f"^Expected .*{message}"):
        kerasft.rank_filters(idle_model, clean, distorted, **arguments)


def test_what_is_not_a_model_is_refused():
    with pytest.raises(TypeError, match=r"^Expected a keras.Model. Received: str"):
        kerasft.rank_filters("model.keras", images(), images())


def _rank_by_pairs(model):
    return kerasft.rank_filters(model, images(), images())


def _rank_by_exemplars(model):
    return kerasft.rank_filters_from_exemplars(model, images(), images())


def _rank_by_criterion(model):
    return kerasft.rank_filters_by("kernel_norm", model, kerasft.RankingData())


@pytest.mark.parametrize("rank", [_rank_by_pairs, _rank_by_exemplars, _rank_by_criterion])
def test_models_that_are_not_built_are_refused_and_stay_so(rank):
    # Its first images would give it random weights, and those a ranking.
    model = keras.Sequential([keras.layers.Conv2D(4, 3, name="conv")], name="loose")
    with pytest.raises(ValueError, match=r"^Expected a built model\. Received: 'loose'"):
        rank(model)
    assert not model.built


def test_model_without_convolutions_is_refused():
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="dense")
    with pytest.raises(ValueError, match=r"^Expected a model with Conv2D .* Received: 'dense'"):
        kerasft.rank_filters(dense, np.zeros((2, 4)), np.zeros((2, 4)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stream", [np.asarray, Dataset], ids=["array", "dataset"])
@pytest.mark.parametrize("side", ["clean", "distorted"])
def test_pixels_that_are_not_finite_are_refused(model, side, stream, bad):
    pair = (with_bad(bad), images()) if side == "clean" else (images(), with_bad(bad))
    with pytest.raises(ValueError, match=rf"^Expected finite pixels. Received: {side} images with"):
        kerasft.rank_filters(model, *map(stream, pair), batch_size=4)


@pytest.mark.parametrize(
    ("counts", "message"),
    [((9, 6), "6 distorted images and more clean"), ((6, 9), "6 clean images and more distorted")],
)
def test_datasets_of_unequal_numbers_are_refused(model, counts, message):
    pairs = [Dataset(images(count)) for count in counts]
    with pytest.raises(ValueError, match=f"^Expected as many clean as distorted .* {message}"):
        kerasft.rank_filters(model, *pairs, batch_size=4)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:-1], r"of one shape. Received: batches \(6, 8, 8, 3\) and \(5, 8, 8, 3\)"),
        (lambda x: x[:, ::2], r"of one shape. Received: batches .* \(6, 4, 8, 3\)"),
        (lambda x: x * np.nan, "finite pixels. Received: distorted images"),
        (lambda x: x / 255, "the same value range. Received: values up to 100 and up to 0.39"),
        (lambda x: None, r"of one shape. Received: batches \(6, 8, 8, 3\) and \(\)"),
    ],
)
def test_function_that_gives_other_images_is_refused(idle_model, function, message):
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        kerasft.rank_filters(idle_model, images(), function)


def test_other_value_range_is_seen_behind_black_images(model):
    clean, distorted = images(value=0.0), images(value=0.0)
    clean[-1], distorted[-1] = 0.5, 128.0
    with pytest.raises(ValueError, match="over the same value range"):
        kerasft.rank_filters(model, clean, distorted, batch_size=1)


def test_dark_images_among_bright_ones_are_no_other_range(model):
    clean, distorted = images(), images(value=90.0)
    clean[3], distorted[3] = 1.0, 40.0
    assert kerasft.rank_filters(model, clean, distorted, batch_size=1)["first"].pairs == 6


NOISE = kerasft.AdditiveWhiteGaussianNoise(15)


@pytest.fixture(scope="module")
def dusk():
    """Images that begin with three that are as good as black."""
    result = images(8)
    result[:3] = 0
    result[:3, 0, 0, 0] = 1
    return result


@pytest.mark.parametrize("arguments", [{"batch_size": 1}, {"confidence": 0.9}], ids=str)
def test_dark_images_in_a_batch_of_their_own_are_no_other_range(model, agree, dusk, arguments):
    agree(
        kerasft.rank_filters(model, dusk, NOISE, **arguments),
        kerasft.rank_filters(model, dusk, NOISE),
    )


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("stream", [np.asarray, Dataset], ids=["array", "dataset"])
def test_a_dark_beginning_is_no_other_range(model, agree, dusk, stream, dtype):
    clean = dusk.astype(dtype)
    pairs = [(clean, NOISE), (stream(clean), NOISE), (stream(clean), stream(NOISE(clean)))]
    expected, *found = (
        kerasft.rank_filters(model, *pair, batch_size=n)
        for pair, n in zip(pairs, (8, 1, 1), strict=True)
    )
    for ranking in found:
        agree(ranking, expected)


def test_images_that_a_function_makes_dark_are_no_other_range(model):
    clean = images()
    clean[0] = 0
    clean[0, 4, 4] = 12
    blur = kerasft.GaussianBlur(2)
    assert blur(clean[:1]).max() < 1
    assert kerasft.rank_filters(model, clean, blur, batch_size=1)["first"].pairs == 6


@pytest.mark.parametrize("confidence", [None, 0.5])
@pytest.mark.parametrize("stream", [np.asarray, Dataset], ids=["array", "dataset"])
def test_distortion_of_another_range_is_refused_before_the_model_runs(
    idle_model, stream, confidence
):
    with pytest.raises(ValueError, match=r"^Expected pixels from 0 to 255. .* as if from 0 to 1"):
        kerasft.rank_filters(
            idle_model, stream(images(value=0.5)), NOISE, batch_size=1, confidence=confidence
        )


def test_dark_images_that_a_function_made_itself_are_refused(idle_model):
    with pytest.raises(ValueError, match="as if from 0 to 1"):
        kerasft.rank_filters(idle_model, images(), lambda x: 255 * NOISE(x / 255), batch_size=1)


def test_a_dataset_of_another_range_is_not_held_in_memory(idle_model, monkeypatch):
    monkeypatch.setattr("kerasft.susceptibility.pairs._MOST_HELD_BACK", 8)
    clean = Dataset(images(40, value=0.5))
    clean.batches = iter(clean.batches)
    with pytest.raises(ValueError, match="over the same value range"):
        kerasft.rank_filters(idle_model, clean, Dataset(images(40)), batch_size=2)
    assert len(list(clean.batches)) == 8


@pytest.fixture(params=[np.nan, np.inf])
def broken(model, request):
    """Filters 2 and 5 of the second convolution give NaN or infinity."""
    broken = keras.models.clone_model(model)
    broken.set_weights(model.get_weights())
    kernel, bias = broken.get_layer("second").get_weights()
    bias[[2, 5]] = request.param
    broken.get_layer("second").set_weights([kernel, bias])
    return broken


def test_feature_maps_that_are_not_finite_are_refused_with_layer_and_filters(
    broken, clean, distorted
):
    with pytest.raises(
        ValueError,
        match=r"^Expected finite feature maps. .* NaN or infinity from layer 'second', filters "
        r"\[2, 5\]",
    ):
        kerasft.rank_filters(broken, clean, distorted)
    ranking = kerasft.rank_filters(broken, clean, distorted, layers=["first"])
    assert np.isfinite(ranking["first"].mean_distance).all()


def test_progress_bar_is_taken_away_before_the_error_is_shown(broken, monkeypatch):
    stopped = []

    class Progress:
        def add_task(self, description, total):
            assert total == 2

        def advance(self, task):
            pass

        def stop(self):
            stopped.append(True)

    monkeypatch.setattr("kerasft.progress.start_progress", Progress)
    # The error is raised beside the stream of images, and its traceback is kept.
    with pytest.raises(ValueError, match="finite feature maps") as error:
        kerasft.rank_filters(broken, images(), images(), batch_size=3)
    assert stopped == [True]
    assert error.tb
