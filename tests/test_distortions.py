import itertools
import re

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import kerasft
from kerasft import additive_white_gaussian_noise, gaussian_blur
from kerasft.distortions import DISTORTIONS, PRESETS, distort_in_parts, takes_first_index

FUNCTIONS = {
    "awgn": additive_white_gaussian_noise,
    "blur": gaussian_blur,
    "jpeg": kerasft.jpeg_compression,
    "motion": kerasft.motion_blur,
    "contrast": kerasft.contrast,
    "impulse": kerasft.impulse_noise,
    "shot": kerasft.shot_noise,
}


@pytest.fixture
def photos():
    return np.random.default_rng(0).integers(0, 256, (5, 9, 12, 3)).astype("uint8")


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 1.5, 4.0, 30.0])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "float16", "int32"])
def test_blur_is_scipys_on_each_image_and_channel(photos, sigma, dtype):
    images = photos.astype(dtype)
    blurred = gaussian_blur(images, sigma)
    assert (blurred.dtype, blurred.shape) == (images.dtype, images.shape)
    for i in range(len(images)):
        for channel in range(3):
            # Four standard deviations hold all but 6e-5 of the bell.
            expected = gaussian_filter(
                images[i, ..., channel].astype("float64"), sigma, mode="reflect", truncate=4.0
            )
            error = np.abs(blurred[i, ..., channel].astype("float64") - expected).max()
            assert error <= {"float64": 1e-9, "float32": 1e-3, "float16": 0.13}.get(dtype, 0.5001)


def test_blur_keeps_flat_images_and_mean_brightness(photos):
    flat = np.full((2, 7, 7, 1), 200, "uint8")
    np.testing.assert_array_equal(gaussian_blur(flat, 3.0), flat)
    # Reflected borders lose nothing.
    images = photos.astype("float64")
    np.testing.assert_allclose(
        gaussian_blur(images, 2.0).mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-9
    )


@pytest.mark.parametrize(
    "distort", [gaussian_blur, lambda x, s: additive_white_gaussian_noise(x, s, 0)]
)
def test_sigma_of_zero_changes_nothing_and_gives_a_copy(photos, distort):
    for images in (photos, photos.astype("float32")):
        result = distort(images, 0)
        np.testing.assert_array_equal(result, images)
        assert not np.shares_memory(result, images)


@pytest.mark.parametrize("sigma", [0.1, 1e-160, 1e-200, np.float64(1e-160), np.float64(1e-200)])
def test_blur_of_a_tiny_sigma_changes_nothing(photos, sigma):
    for images in (photos, photos.astype("float16"), photos / 255 + 0.5):
        blurred = gaussian_blur(images, sigma)
        np.testing.assert_array_equal(blurred, images)
        assert not np.shares_memory(blurred, images)


def test_images_are_left_alone(photos):
    images = photos.astype("float32")
    gaussian_blur(images, 1.0)
    additive_white_gaussian_noise(images, 15, seed=0)
    np.testing.assert_array_equal(images, photos)


@pytest.mark.parametrize("value_range", [(0, 255), (0, 1), (-1, 1)])
def test_noise_has_mean_zero_its_sigma_and_a_normal_shape(value_range):
    low, high = value_range
    gray = np.full((40, 16, 16, 3), (low + high) / 2, "float32")
    sigma = 0.06 * (high - low)
    noise = additive_white_gaussian_noise(gray, sigma, seed=7, value_range=value_range) - gray
    unit = noise.astype("float64") / sigma
    count = unit.size
    # Four standard errors.
    assert abs(unit.mean()) < 4 / np.sqrt(count)
    assert abs(unit.std() - 1) < 4 / np.sqrt(2 * count)
    assert scipy.stats.kstest(unit.ravel(), "norm").pvalue > 0.001


def test_noise_is_independent_between_pixels_channels_and_images():
    gray = np.full((100, 8, 8, 3), 127.5, "float64")
    noise = additive_white_gaussian_noise(gray, 10, seed=1) - gray
    pairs = [
        (noise[:-1], noise[1:]),
        (noise[..., 0], noise[..., 1]),
        (noise[:, :-1], noise[:, 1:]),
        (noise[:, :, :-1], noise[:, :, 1:]),
    ]
    for left, right in pairs:
        correlation = np.corrcoef(left.ravel(), right.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(left.size)


def test_noise_is_that_of_the_seed(photos):
    noisy = additive_white_gaussian_noise(photos, 15, seed=3)
    np.testing.assert_array_equal(additive_white_gaussian_noise(photos, 15, seed=3), noisy)
    assert (additive_white_gaussian_noise(photos, 15, seed=4) != noisy).mean() > 0.9


def test_noise_does_not_touch_the_global_random_state(photos):
    # The old global generator is what is looked at, hence the exemptions.
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    additive_white_gaussian_noise(photos, 15, seed=3)
    assert np.random.random() == expected  # noqa: NPY002


@given(cuts=st.sets(st.integers(1, 8)), seed=st.integers(0, 2**70), start=st.integers(0, 10**6))
def test_noise_does_not_depend_on_the_batches(cuts, seed, start):
    images = np.full((9, 3, 4, 1), 100.0, "float32")
    whole = additive_white_gaussian_noise(images, 15, seed, first_index=start)
    edges = [0, *sorted(cuts), 9]
    parts = [
        additive_white_gaussian_noise(images[a:b], 15, seed, first_index=start + a)
        for a, b in itertools.pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("value_range", [(0, 255), (0, 1), (-1, 1)])
def test_noise_is_clipped_to_the_range_unless_told_otherwise(value_range):
    low, high = value_range
    images = np.full((4, 8, 8, 1), high, "float32")
    images[:2] = low
    sigma = 0.1 * (high - low)
    clipped = additive_white_gaussian_noise(images, sigma, 0, value_range=value_range)
    whole = additive_white_gaussian_noise(images, sigma, 0, clip=False, value_range=value_range)
    assert (clipped.min(), clipped.max()) == (low, high)
    assert whole.min() < low
    assert whole.max() > high
    np.testing.assert_array_equal(clipped, np.clip(whole, low, high))


def test_noise_of_integer_images_is_that_of_floats_rounded(photos):
    noisy = additive_white_gaussian_noise(photos, 15, seed=3)
    exact = additive_white_gaussian_noise(photos.astype("float32"), 15, seed=3)
    assert noisy.dtype == np.uint8
    np.testing.assert_array_equal(noisy, np.rint(exact))


def test_same_images_on_another_scale_are_distorted_alike(photos):
    bytes_ = photos.astype("float64")
    unit = bytes_ / 255
    np.testing.assert_allclose(
        gaussian_blur(unit, 1.0, value_range=(0, 1)) * 255, gaussian_blur(bytes_, 1.0), atol=1e-6
    )
    np.testing.assert_allclose(
        additive_white_gaussian_noise(unit, 15 / 255, 0, value_range=(0, 1)) * 255,
        additive_white_gaussian_noise(bytes_, 15, 0),
        atol=1e-5,
    )


def test_no_images_are_distorted_to_none():
    none = np.zeros((0, 4, 4, 3), "float32")
    assert gaussian_blur(none, 1.0).shape == none.shape
    assert additive_white_gaussian_noise(none, 15, 0).shape == none.shape


def test_black_images_are_of_any_range():
    black = np.zeros((1, 4, 4, 1), "float32")
    np.testing.assert_array_equal(gaussian_blur(black, 1.0), black)


def test_rounding_may_leave_the_range_by_a_hair():
    images = np.full((1, 4, 4, 1), 1 + 1e-7, "float32")
    assert gaussian_blur(images, 1.0, value_range=(0, 1)).max() <= 1.000001


def batch(value=100.0, dtype="float32", shape=(2, 4, 4, 3)):
    return np.full(shape, value, dtype)


def one_bad(value):
    images = batch()
    images[1, 2, 3, 0] = value
    return images


UNIT = {"value_range": (0, 1)}
SEEDED = ("awgn", "motion", "impulse", "shot")

REFUSED = {
    "0–1 under 0–255": (batch(0.5), {}, "0 to 255. Received: 0.5 to 0.5, as if from 0 to 1"),
    "0–255 under 0–1": (batch(), UNIT, "from 0 to 1. Received: 100 to 100"),
    "bytes under 0–1": (batch(9, "uint8"), UNIT, "from 0 to 1. Received: 9"),
    "negative": (batch(-3.0), {}, "finite pixels from 0 to 255. Received: -3 to -3"),
    "too bright": (batch(300.0), {}, "finite pixels from 0 to 255. Received: 300"),
    "NaN": (one_bad(np.nan), {}, "finite pixels from 0 to 255. Received: nan"),
    "infinity": (one_bad(np.inf), {}, "finite pixels .* Received: 100 to inf"),
    "one image": (batch(shape=(4, 4, 3)), {}, r"\(images, height, .* float32 \(4, 4, 3\)"),
    "no channels": (batch(shape=(2, 4, 4)), {}, r"\(images, height, .* float32 \(2, 4, 4\)"),
    "truth values": (batch(True, "bool"), {}, "images as numbers of shape .* bool"),
    "signed bytes": (batch(9, "int8"), {}, "a dtype that holds .* 0 to 255. Received: int8, .*127"),
    "text": (batch("a", "U1"), {}, "images as numbers of shape .* <U1"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("kind", DISTORTIONS)
def test_images_that_make_no_sense_are_refused(case, kind):
    images, arguments, message = REFUSED[case]
    distortion = DISTORTIONS[kind](PRESETS[kind]["low"], **arguments)
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        distortion(images)


RANGES = [(255, 0), 255, (0, 1, 2), ("0", "1"), (np.nan, 1), (3, 3), None]


@pytest.mark.parametrize("value_range", RANGES, ids=str)
@pytest.mark.parametrize("kind", DISTORTIONS)
def test_ranges_that_make_no_sense_are_refused_at_the_door(value_range, kind):
    number = PRESETS[kind]["low"]
    arguments = (0,) if kind in SEEDED else ()
    received = re.escape(repr(value_range))
    expected = rf"^Expected value_range as \(lowest, highest\)\. Received: {received}\.$"
    with pytest.raises(ValueError, match=expected):
        DISTORTIONS[kind](number, value_range=value_range)
    with pytest.raises(ValueError, match=expected):
        FUNCTIONS[kind](batch(), number, *arguments, value_range=value_range)


SIGMA, SHARE = "a sigma of at least 0", "a share of the values from 0 to 1"
QUALITY, FACTOR = "a quality as a whole number from 1 to 100", "a contrast factor of at least 0"
LENGTH, PHOTONS = "a length as a whole number of at least 1", "a number of photons over 0, at most"
BAD_NUMBERS = [
    ("awgn", -1, SIGMA), ("awgn", np.nan, SIGMA), ("awgn", np.inf, SIGMA),
    ("blur", -1, SIGMA), ("blur", np.nan, SIGMA), ("blur", np.inf, SIGMA),
    ("jpeg", 0, QUALITY), ("jpeg", 101, QUALITY), ("jpeg", 30.5, QUALITY), ("jpeg", "30", QUALITY),
    ("jpeg", True, QUALITY), ("motion", True, LENGTH),
    ("motion", 0, LENGTH), ("motion", 2.5, LENGTH), ("motion", -3, LENGTH),
    ("contrast", -0.1, FACTOR), ("contrast", np.nan, FACTOR), ("contrast", np.inf, FACTOR),
    ("impulse", -0.1, SHARE), ("impulse", 1.1, SHARE), ("impulse", np.nan, SHARE),
    ("shot", 0, PHOTONS), ("shot", -5, PHOTONS), ("shot", np.nan, PHOTONS),
    ("shot", 1e13, PHOTONS),
    *((kind, bad, message) for bad in ("1", True, None) for kind, message in (
        ("awgn", SIGMA), ("blur", SIGMA), ("contrast", FACTOR), ("impulse", SHARE),
        ("shot", PHOTONS),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "number", "message"), BAD_NUMBERS)
def test_numbers_that_make_no_sense_are_refused_at_the_door(kind, number, message):
    arguments = (0,) if kind in SEEDED else ()
    expected = f"^Expected {message}.* Received: {number!r}\\.$"
    with pytest.raises(ValueError, match=expected):
        DISTORTIONS[kind](number)
    with pytest.raises(ValueError, match=expected):
        FUNCTIONS[kind](batch(), number, *arguments)


@pytest.mark.parametrize("number", [-1, 1.5, None, "0"])
@pytest.mark.parametrize("name", ["seed", "first_index"])
def test_seed_and_index_that_are_no_whole_numbers_are_refused(name, number):
    arguments = {"seed": 0, name: number}
    for kind in SEEDED:
        with pytest.raises(ValueError, match=f"^Expected {name} as a whole .* {number!r}"):
            FUNCTIONS[kind](batch(), PRESETS[kind]["low"], **arguments)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "a", True])
def test_distortions_are_not_made_of_seeds_that_are_none(seed):
    expected = f"^Expected seed as a whole number of at least 0. Received: {seed!r}"
    for kind in SEEDED:
        with pytest.raises(ValueError, match=expected):
            DISTORTIONS[kind](PRESETS[kind]["low"], seed=seed)
    for text in ("awgn:15", "blur:1"):
        with pytest.raises(ValueError, match=expected):
            kerasft.parse_distortion(text, seed=seed)


def test_unclipped_noise_is_refused_for_integers(photos):
    with pytest.raises(ValueError, match=r"^Expected float images for clip=False. Received: uint8"):
        additive_white_gaussian_noise(photos, 15, 0, clip=False)


def test_presets_are_those_of_the_design():
    assert PRESETS == {
        "awgn": {"low": 5, "central": 15, "high": 25},
        "blur": {"low": 0.5, "central": 1.0, "high": 1.5},
        # Severities 1, 3 and 5 of CIFAR-10-C.
        "jpeg": {"low": 80, "central": 58, "high": 40},
        "motion": {"low": 2, "central": 4, "high": 5},
        "contrast": {"low": 0.75, "central": 0.4, "high": 0.15},
        "impulse": {"low": 0.01, "central": 0.03, "high": 0.07},
        "shot": {"low": 500, "central": 100, "high": 50},
    }
    assert PRESETS.keys() == DISTORTIONS.keys()


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_images_distorted_in_parts_are_those_distorted_at_once(monkeypatch, kind):
    monkeypatch.setattr(distort_in_parts, "_PART", 7)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), "uint8")
    effect = kerasft.parse_distortion(f"{kind}:high", seed=3)
    distorted = distort_in_parts.distort_in_parts(effect, images)
    assert distorted.dtype == np.uint8
    np.testing.assert_array_equal(distorted, effect(images))
    assert (distorted != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_higher_levels_are_more_severe_and_have_one_short_form(kind):
    levels = [kerasft.parse_distortion(f"{kind}:{name}") for name in ("low", "central", "high")]
    assert levels[0].severity < levels[1].severity < levels[2].severity
    for distortion, number in zip(levels, PRESETS[kind].values(), strict=True):
        assert distortion.short_form == f"{kind}:{number:g}"
        assert kerasft.parse_distortion(distortion.short_form) == distortion


@given(number=st.floats(1e-6, 1e12))
def test_short_forms_lose_no_digit(number):
    distortion = kerasft.ShotNoise(number)
    assert kerasft.parse_distortion(distortion.short_form) == distortion


def test_which_distortions_take_the_index():
    takers = [kind for kind in DISTORTIONS if takes_first_index(DISTORTIONS[kind](1))]
    assert takers == ["awgn", "motion", "impulse", "shot"]


NOISE, BLUR = kerasft.AdditiveWhiteGaussianNoise, kerasft.GaussianBlur


@pytest.mark.parametrize(
    ("text", "distortion", "shown"),
    [
        ("awgn:15", NOISE(15.0, 9), "AWGN σ = 15"),
        ("awgn:7.5", NOISE(7.5, 9), "AWGN σ = 7.5"),
        ("awgn:0", NOISE(0.0, 9), "AWGN σ = 0"),
        ("awgn:low", NOISE(5.0, 9), "AWGN σ = 5"),
        ("awgn:central", NOISE(15.0, 9), "AWGN σ = 15"),
        ("awgn:high", NOISE(25.0, 9), "AWGN σ = 25"),
        ("blur:1.5", BLUR(1.5), "Gaussian blur σ = 1.5"),
        ("blur:low", BLUR(0.5), "Gaussian blur σ = 0.5"),
        ("blur:central", BLUR(1.0), "Gaussian blur σ = 1"),
        ("blur:high", BLUR(1.5), "Gaussian blur σ = 1.5"),
        ("jpeg:30", kerasft.JpegCompression(30), "JPEG quality 30"),
        ("jpeg:3e1", kerasft.JpegCompression(30), "JPEG quality 30"),
        ("jpeg:central", kerasft.JpegCompression(58), "JPEG quality 58"),
        ("motion:5", kerasft.MotionBlur(5, 9), "motion blur of 5 pixels"),
        ("contrast:0.5", kerasft.Contrast(0.5), "contrast × 0.5"),
        ("impulse:0.05", kerasft.ImpulseNoise(0.05, 9), "impulse noise on 5% of the values"),
        ("shot:60", kerasft.ShotNoise(60, 9), "shot noise of 60 photons"),
    ],
)
def test_short_form_is_parsed(text, distortion, shown, photos):
    parsed = kerasft.parse_distortion(text, seed=9)
    assert parsed == distortion
    assert str(parsed) == shown
    number, *seed = (value for value in vars(parsed).values() if np.isscalar(value))
    function = FUNCTIONS[text.partition(":")[0]]
    np.testing.assert_array_equal(parsed(photos), function(photos, number, *seed[:1]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "awgn",
        "awgn:",
        "awgn:loud",
        "fog:50",
        "blur:1,5",
        "jpeg:0",
        "jpeg:101",
        "jpeg:30.5",
        "jpeg:nan",
        "motion:0",
        "motion:1.5",
        "contrast:-1",
        "impulse:2",
        "shot:0",
        "shot:inf",
        ":15",
        "awgn:15:3",
        "awgn:-1",
        "blur:nan",
    ]
    + ["blur:inf", "AWGN:15", "awgn=15"],
)
def test_short_form_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match=rf"^Expected a .* Received: '{text}'\.$"):
        kerasft.parse_distortion(text)


@pytest.mark.parametrize("value", [None, 5, b"awgn:15", ["awgn:15"]])
def test_what_is_no_text_is_no_short_form(value):
    with pytest.raises(ValueError, match=rf"^Expected a .* Received: {re.escape(repr(value))}\.$"):
        kerasft.parse_distortion(value)


def test_noise_as_a_function_passes_on_the_index(photos):
    noise = NOISE(15, seed=2)
    np.testing.assert_array_equal(noise(photos[3:], first_index=3), noise(photos)[3:])
