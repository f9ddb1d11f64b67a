"""JPEG, motion blur, contrast, impulse and shot noise, each against a slow reference."""

import io
import itertools
import math

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import kerasft
from kerasft import contrast, impulse_noise, jpeg_compression, motion_blur, shot_noise
from kerasft.distortions import DISTORTIONS, PRESETS

DTYPES = ["uint8", "int32", "float16", "float32", "float64"]
# What a result may be off by: half a level where it is rounded.
ERROR = {"float64": 1e-9, "float32": 1e-3, "float16": 0.13}
RANGES = [(0, 255), (0, 1), (-1, 1)]
FURTHER = {
    "jpeg": kerasft.JpegCompression(30),
    "motion": kerasft.MotionBlur(3, seed=1),
    "contrast": kerasft.Contrast(0.4),
    "impulse": kerasft.ImpulseNoise(0.2, seed=1),
    "shot": kerasft.ShotNoise(20, seed=1),
}
SEEDED = {
    "motion": lambda images, seed, first: motion_blur(images, 3, seed, first_index=first),
    "impulse": lambda images, seed, first: impulse_noise(images, 0.3, seed, first_index=first),
    "shot": lambda images, seed, first: shot_noise(images, 9, seed, first_index=first),
}
IMAGES = arrays.arrays(
    "uint8",
    st.tuples(st.integers(1, 3), st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3])),
    elements=st.integers(0, 255),
    fill=st.integers(0, 255),
)


@pytest.fixture
def photos():
    return np.random.default_rng(0).integers(0, 256, (4, 7, 10, 3)).astype("uint8")


def on_scale(images, value_range):
    low, high = value_range
    return low + images.astype("float64") / 255 * (high - low)


# JPEG


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_a_file_holds(photos, quality, channels):
    images = photos[..., :channels]
    compressed = jpeg_compression(images, quality)
    assert (compressed.dtype, compressed.shape) == (images.dtype, images.shape)
    for image, result in zip(images, compressed, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, format="JPEG", quality=quality)
        np.testing.assert_array_equal(result.squeeze(), np.asarray(Image.open(file)))


# Annex K of the standard, for quality 50.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_rounds_cosine_waves(quality):
    images = kerasft.datasets.digits()[0][:200]
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    table = np.clip(np.floor((LUMINANCE * scale + 50) / 100), 1, 255)
    compressed = jpeg_compression(images, quality)
    compared = 0
    for image, result in zip(images[..., 0], compressed[..., 0], strict=True):
        steps = scipy.fft.dctn(image.astype("float64") - 128, norm="ortho") / table
        # Pillow computes in integers: what lies between two steps may go the other way.
        if np.abs(steps % 1 - 0.5).min() < 0.01:
            continue
        rounded = scipy.fft.idctn(np.rint(steps) * table, norm="ortho") + 128
        assert np.abs(result - np.clip(rounded, 0, 255)).max() < 1.5
        compared += 1
    assert compared >= 20


def test_lower_quality_loses_more():
    images = kerasft.datasets.digits()[0][:20].astype("float32")
    lost = [np.abs(jpeg_compression(images, q) - images).mean() for q in (100, 80, 58, 40, 10, 1)]
    assert lost == sorted(lost)
    # The best that there is keeps all but rounding.
    assert lost[0] < 1


@pytest.mark.parametrize("value_range", RANGES)
def test_jpeg_of_floats_is_that_of_bytes(photos, value_range):
    images = on_scale(photos, value_range)
    expected = on_scale(jpeg_compression(photos, 40), value_range)
    for dtype in ("float32", "float64"):
        compressed = jpeg_compression(images.astype(dtype), 40, value_range)
        assert compressed.dtype == dtype
        np.testing.assert_allclose(compressed, expected, atol=1e-6 * 255)


@pytest.mark.parametrize("shape", [(2, 8, 8, 2), (2, 8, 8, 4), (1, 1, 65_501, 1)])
def test_images_that_jpeg_cannot_hold_are_refused(shape):
    with pytest.raises(ValueError, match=rf"^Expected images of 1 or 3 channels .* \({shape[0]}, "):
        jpeg_compression(np.zeros(shape, "uint8"), 50)


# Motion blur


def reflected(index, size):
    """`d c b a | a b c d | d c b a`"""
    index %= 2 * size
    return index if index < size else 2 * size - 1 - index


def between(image, y, x):
    """Bilinear, with reflected borders."""
    total = 0.0
    for row, column in itertools.product(
        (math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)
    ):
        share = (1 - abs(y - row)) * (1 - abs(x - column))
        at = reflected(row, image.shape[0]), reflected(column, image.shape[1])
        total += share * float(image[at])
    return total


def blurred_by_hand(image, length, angle):
    result = np.zeros(image.shape)
    for y, x in np.ndindex(image.shape):
        for step in range(length):
            along = step - (length - 1) / 2
            down = -along * math.sin(math.radians(angle))
            right = along * math.cos(math.radians(angle))
            result[y, x] += between(image, y + down, x + right) / length
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("length", "angle"), [(2, 0), (3, 90), (5, 30), (10, -71), (4, 200)])
def test_motion_blur_is_the_mean_along_a_line(photos, dtype, length, angle):
    images = photos[:2].astype(dtype)
    blurred = motion_blur(images, length, seed=0, angle=angle)
    assert (blurred.dtype, blurred.shape) == (images.dtype, images.shape)
    for i, channel in np.ndindex(2, 3):
        expected = blurred_by_hand(images[i, ..., channel], length, angle)
        error = np.abs(blurred[i, ..., channel].astype("float64") - expected).max()
        assert error <= ERROR.get(dtype, 0.5001)


def test_the_line_of_an_image_is_drawn_from_its_index(photos):
    images = photos.astype("float64")
    blurred = motion_blur(images, 5, seed=3, first_index=7)
    angles = [np.random.default_rng([3, 7 + i]).uniform(-45, 45) for i in range(4)]
    assert len(set(angles)) == 4
    for i, angle in enumerate(angles):
        np.testing.assert_allclose(
            blurred[i, ..., 0], blurred_by_hand(images[i, ..., 0], 5, angle), atol=1e-9
        )


@given(angle=st.floats(-180, 180), length=st.integers(1, 7))
def test_motion_blur_turns_with_the_image(angle, length):
    images = np.random.default_rng(1).uniform(0, 255, (1, 7, 9, 1))
    blurred = motion_blur(images, length, 0, angle)
    upside_down = motion_blur(images[:, ::-1], length, 0, -angle)[:, ::-1]
    np.testing.assert_allclose(upside_down, blurred, atol=1e-9)
    turned = motion_blur(images.swapaxes(1, 2), length, 0, -90 - angle).swapaxes(1, 2)
    np.testing.assert_allclose(turned, blurred, atol=1e-9)


def test_motion_blur_keeps_flat_images(photos):
    flat = np.full((3, 7, 7, 1), 200, "uint8")
    np.testing.assert_array_equal(motion_blur(flat, 5, 0), flat)
    # Edges along the motion stay, edges across are smeared.
    stripes = np.repeat(np.array([0, 255], "uint8"), 8).reshape(1, 1, 16, 1).repeat(16, axis=1)
    np.testing.assert_array_equal(motion_blur(stripes, 5, 0, angle=90), stripes)
    assert len(np.unique(motion_blur(stripes, 5, 0, angle=0))) == 6


@pytest.mark.parametrize("angle", [np.nan, np.inf, "30", True])
def test_angles_that_are_none_are_refused(photos, angle):
    for make in (lambda: motion_blur(photos, 3, 0, angle), lambda: kerasft.MotionBlur(3, 0, angle)):
        with pytest.raises(ValueError, match=f"^Expected an angle .* Received: {angle!r}"):
            make()


def test_a_line_longer_than_the_images_is_refused(photos):
    assert motion_blur(photos, 10, 0).shape == photos.shape
    with pytest.raises(ValueError, match=r"at most 10, the longer side .* Received: 11\.$"):
        motion_blur(photos, 11, 0)


# Contrast


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [0, 0.15, 0.75, 1, 3])
def test_contrast_is_about_the_mean_of_each_image_and_channel(photos, dtype, factor):
    images = photos.astype(dtype)
    changed = contrast(images, factor)
    assert (changed.dtype, changed.shape) == (images.dtype, images.shape)
    for i, channel in np.ndindex(4, 3):
        mean = sum(float(value) for value in images[i, ..., channel].ravel()) / 70
        for y, x in np.ndindex(7, 10):
            expected = (float(images[i, y, x, channel]) - mean) * factor + mean
            error = abs(float(changed[i, y, x, channel]) - min(max(expected, 0), 255))
            assert error <= ERROR.get(dtype, 0.5001)


@given(first=st.floats(0, 1), second=st.floats(0, 1))
def test_contrasts_multiply_and_keep_the_mean(first, second):
    images = np.random.default_rng(1).uniform(0, 255, (2, 5, 6, 3))
    twice = contrast(contrast(images, first), second)
    np.testing.assert_allclose(twice, contrast(images, first * second), atol=1e-9)
    np.testing.assert_allclose(twice.mean(axis=(1, 2)), images.mean(axis=(1, 2)), rtol=1e-9)


# Impulse and shot noise


@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("amount", [0, 0.05, 0.5, 1])
def test_impulses_are_drawn_value_by_value(photos, amount, value_range):
    low, high = value_range
    images = on_scale(photos, value_range).astype("float32")
    noisy = impulse_noise(images, amount, seed=5, value_range=value_range, first_index=2)
    for i in range(4):
        drawn = np.random.default_rng([5, 2 + i]).random((7, 10, 3))
        for at in np.ndindex(7, 10, 3):
            expected = (
                low if drawn[at] < amount / 2 else high if drawn[at] < amount else images[i][at]
            )
            assert noisy[i][at] == expected


def test_as_many_impulses_are_black_as_white():
    gray = np.full((50, 16, 16, 3), 100, "uint8")
    noisy = impulse_noise(gray, 0.2, seed=0)
    for level, share in ((0, 0.1), (255, 0.1), (100, 0.8)):
        # Four standard errors.
        error = 4 * np.sqrt(share * (1 - share) / gray.size)
        assert abs((noisy == level).mean() - share) < error
    # Channels are hit one by one.
    hit = noisy != 100
    assert abs((hit[..., 0] & hit[..., 1]).mean() - 0.04) < 0.01


@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("photons", [0.5, 60, 1e6])
def test_photons_are_counted_value_by_value(photos, photons, value_range):
    low, high = value_range
    images = on_scale(photos, value_range)
    noisy = shot_noise(images, photons, seed=5, value_range=value_range, first_index=2)
    for i in range(4):
        generator = np.random.default_rng([5, 2 + i])
        for at in np.ndindex(7, 10, 3):
            brightness = min(max((images[i][at] - low) / (high - low), 0), 1)
            counted = min(generator.poisson(brightness * photons) / photons, 1)
            assert noisy[i][at] == pytest.approx(low + counted * (high - low), abs=1e-9)


def test_shot_noise_grows_with_the_brightness_and_with_fewer_photons():
    for photons in (50, 500):
        for level in (20.0, 120.0):
            gray = np.full((60, 16, 16, 3), level)
            noise = shot_noise(gray, photons, seed=3) - gray
            variance = level * 255 / photons
            assert abs(noise.mean()) < 4 * np.sqrt(variance / gray.size)
            assert noise.var() == pytest.approx(variance, rel=0.05)


def test_noise_of_integer_images_is_that_of_floats_rounded(photos):
    for noise in SEEDED.values():
        exact = noise(photos.astype("float64"), 3, 0)
        np.testing.assert_allclose(noise(photos, 3, 0), np.rint(exact), atol=0)


# All of them


@pytest.mark.parametrize("kind", SEEDED)
@given(cuts=st.sets(st.integers(1, 5)), seed=st.integers(0, 2**70), start=st.integers(0, 10**6))
def test_what_is_drawn_does_not_depend_on_the_batches(kind, cuts, seed, start):
    images = np.random.default_rng(0).uniform(0, 255, (6, 3, 4, 1))
    whole = SEEDED[kind](images, seed, start)
    parts = [
        SEEDED[kind](images[a:b], seed, start + a)
        for a, b in itertools.pairwise([0, *sorted(cuts), 6])
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (SEEDED[kind](images, seed + 1, start) != whole).any()


@pytest.mark.parametrize("kind", SEEDED)
def test_a_distortion_passes_on_seed_range_and_index(kind, photos):
    images, number = on_scale(photos, (-1, 1)), PRESETS[kind]["high"]
    first, second = (DISTORTIONS[kind](number, seed=seed, value_range=(-1, 1)) for seed in (1, 2))
    np.testing.assert_array_equal(first(images[2:], first_index=2), first(images)[2:])
    assert (second(images) != first(images)).any()


@pytest.mark.parametrize("kind", FURTHER)
@given(images=IMAGES)
def test_results_stay_in_range_and_images_are_left_alone(kind, images):
    before = images.copy()
    result = FURTHER[kind](images)
    assert (result.dtype, result.shape) == (images.dtype, images.shape)
    np.testing.assert_array_equal(images, before)
    for dtype, value_range in (("float32", (0, 1)), ("float64", (-1, 1))):
        scaled = on_scale(images, value_range).astype(dtype)
        distortion = DISTORTIONS[kind](PRESETS[kind]["high"], value_range=value_range)
        result = distortion(scaled)
        assert result.dtype == dtype
        slack = 1e-6 * (value_range[1] - value_range[0])
        assert value_range[0] - slack <= result.min()
        assert result.max() <= value_range[1] + slack


NEUTRAL = {
    "motion": kerasft.MotionBlur(1),
    "contrast": kerasft.Contrast(1),
    "impulse": kerasft.ImpulseNoise(0),
}


@pytest.mark.parametrize("kind", NEUTRAL)
def test_a_neutral_setting_changes_nothing_and_gives_a_copy(photos, kind):
    for images in (photos, photos.astype("float32")):
        result = NEUTRAL[kind](images)
        np.testing.assert_array_equal(result, images)
        assert not np.shares_memory(result, images)


def test_many_photons_change_nothing(photos):
    np.testing.assert_array_equal(kerasft.ShotNoise(1e12)(photos), photos)


@pytest.mark.parametrize("kind", FURTHER)
@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 0, 4, 3)])
def test_no_images_are_distorted_to_none(kind, shape):
    assert FURTHER[kind](np.zeros(shape, "float32")).shape == shape


def test_nothing_touches_the_global_random_state(photos):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    for distortion in FURTHER.values():
        distortion(photos)
    assert np.random.random() == expected  # noqa: NPY002


def test_rounding_may_leave_the_range_by_a_hair():
    images = np.full((1, 4, 4, 1), -1e-7, "float32")
    images[0, 0] = 1 + 1e-7
    for kind in FURTHER:
        distortion = DISTORTIONS[kind](PRESETS[kind]["low"], value_range=(0, 1))
        result = distortion(images)
        assert -1e-6 <= result.min() <= result.max() <= 1 + 1e-6
