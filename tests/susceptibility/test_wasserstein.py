import hypothesis.extra.numpy as arrays
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from kerasft import wasserstein_distances
from kerasft.susceptibility import sorted_distances as engine

methods = pytest.mark.parametrize("method", ["sorted", "scipy"])


def values(dtype, low, high):
    width = np.dtype(dtype).itemsize * 8
    low, high = (float(np.dtype(dtype).type(bound)) for bound in (low, high))
    return st.floats(low, high, width=width, allow_nan=False, allow_subnormal=False)


KINDS = {
    "any sign, float32": ("float32", values("float32", -100, 100)),
    "any sign, float64": ("float64", values("float64", -100, 100)),
    "any sign, float16": ("float16", values("float16", -100, 100)),
    "negative": ("float32", values("float32", -50, -1)),
    "tied": ("float32", st.sampled_from([-1.0, 0.0, 0.0, 0.5, 0.5, 2.0])),
    "ReLU-sparse": ("float32", st.just(0.0) | values("float32", 0, 10)),
    "constant": ("float32", st.just(3.25)),
    "large": ("float32", values("float32", -1e30, 1e30)),
    "large, float64": ("float64", values("float64", -1e200, 1e200)),
    "small": ("float32", values("float32", -1e-6, 1e-6)),
    "large and small": ("float64", values("float64", -1e-3, 1e-3) | values("float64", 1e6, 1e7)),
}


def maps(draw, dtype, elements):
    shape = draw(
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
    )
    return [draw(arrays.arrays(dtype, shape, elements=elements)) for _ in range(2)]


def reference(clean, distorted):
    clean, distorted = clean.astype("float64"), distorted.astype("float64")
    return np.array(
        [
            [
                wasserstein_distance(clean[i, ..., j].ravel(), distorted[i, ..., j].ravel())
                for j in range(clean.shape[-1])
            ]
            for i in range(len(clean))
        ]
    )


@methods
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_distance_is_scipys(method, kind, data):
    clean, distorted = maps(data.draw, *KINDS[kind])
    result = wasserstein_distances(clean, distorted, method)
    expected = reference(clean, distorted)
    assert result.dtype == np.float64
    assert result.shape == (len(clean), clean.shape[-1])
    largest = max(np.abs(clean.astype("float64")).max(), np.abs(distorted.astype("float64")).max())
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-14 * largest)


@methods
@given(data=st.data())
def test_distance_is_symmetric_and_blind_to_where_values_stand(method, data):
    clean, distorted = maps(data.draw, *KINDS["any sign, float32"])
    there = wasserstein_distances(clean, distorted, method)
    np.testing.assert_allclose(wasserstein_distances(distorted, clean, method), there, rtol=1e-12)
    order = np.random.default_rng(0).permutation(clean.shape[1] * clean.shape[2])
    flat = clean.reshape(len(clean), -1, clean.shape[-1])
    np.testing.assert_array_equal(wasserstein_distances(flat, flat[:, order], method), 0)


@methods
@given(data=st.data(), shift=st.integers(-1000, 1000), factor=st.integers(-8, 8))
def test_distance_follows_shifts_and_scales(method, data, shift, factor):
    clean, distorted = (x.astype("float64") for x in maps(data.draw, *KINDS["tied"]))
    distance = wasserstein_distances(clean, distorted, method)
    assert (distance >= 0).all()
    np.testing.assert_allclose(
        wasserstein_distances(clean, clean + shift, method), np.full(distance.shape, abs(shift))
    )
    np.testing.assert_allclose(
        wasserstein_distances(clean + shift, distorted + shift, method), distance, atol=1e-9
    )
    np.testing.assert_allclose(
        wasserstein_distances(factor * clean, factor * distorted, method),
        abs(factor) * distance,
        atol=1e-12,
    )


@methods
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["clean", "distorted", "both"])
def test_map_that_is_not_finite_has_no_distance(method, bad, where):
    clean, distorted = np.zeros((2, 2, 2, 2), "float32"), np.ones((2, 2, 2, 2), "float32")
    for name, maps in (("clean", clean), ("distorted", distorted)):
        if where in (name, "both"):
            maps[1, 0, 1, 0] = bad
    np.testing.assert_array_equal(
        wasserstein_distances(clean, distorted, method), [[1, 1], [np.nan, 1]]
    )


@methods
def test_inputs_are_left_alone(method):
    clean = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype("float32")
    distorted = clean[:, ::-1] + 1
    before = clean.copy(), distorted.copy()
    wasserstein_distances(clean, distorted, method)
    np.testing.assert_array_equal(clean, before[0])
    np.testing.assert_array_equal(distorted, before[1])


@pytest.mark.parametrize(
    ("shapes", "method", "message"),
    [
        (((1, 2, 2, 3), (1, 2, 2, 4)), "sorted", r"Received: \(1, 2, 2, 3\) and \(1, 2, 2, 4\)"),
        (((1, 2, 2, 3), (2, 2, 2, 3)), "sorted", "arrays of feature maps of one shape"),
        (((4,), (4,)), "sorted", "arrays of feature maps of one shape"),
        (((1, 0, 2, 3), (1, 0, 2, 3)), "sorted", "arrays of feature maps of one shape"),
        (((1, 2, 2, 0), (1, 2, 2, 0)), "scipy", "arrays of feature maps of one shape"),
        (((1, 2, 2, 3), (1, 2, 2, 3)), "exact", "method 'sorted' or 'scipy'. Received: 'exact'"),
    ],
)
def test_maps_that_have_no_distance_are_refused(shapes, method, message):
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        wasserstein_distances(*(np.zeros(shape) for shape in shapes), method)


@methods
def test_complex_maps_are_refused(method):
    maps = np.zeros((1, 2, 2, 1), "complex64")
    with pytest.raises(ValueError, match=r"^Expected feature maps of numbers\. .* complex64"):
        wasserstein_distances(maps, maps, method)


@pytest.mark.parametrize("dtype", ["longdouble", "int64", "int32"])
def test_wide_numbers_keep_double_precision(dtype):
    clean = np.full((1, 2, 2, 1), 2**30, dtype)
    np.testing.assert_array_equal(wasserstein_distances(clean, clean + 1), [[1]])


@methods
def test_maps_of_a_single_value_need_no_axis_for_it(method):
    clean, distorted = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[2.0, 2.0], [1.0, 9.0]])
    distances = wasserstein_distances(clean, distorted, method)
    np.testing.assert_array_equal(distances, [[1.0, 0.0], [2.0, 4.0]])


def test_no_images_have_no_distances():
    assert wasserstein_distances(np.zeros((0, 2, 2, 3)), np.zeros((0, 2, 2, 3))).shape == (0, 3)


@pytest.mark.parametrize("slow_on_equal_values", [True, False])
@given(data=st.data())
def test_zeros_are_sorted_like_other_values_under_every_numpy(slow_on_equal_values, data):
    # Bits with a sign, -0.0 and NaN among them, are not in the order of their floats.
    kinds = st.sampled_from([0.0, 0.0, -0.0, 2.0**-126, 0.5, 3.0, 2.0**99, -2.0, np.nan, np.inf])
    shape = (2, data.draw(st.integers(1, 40)), 3)
    clean, distorted = (data.draw(arrays.arrays("float32", shape, elements=kinds)) for _ in "ab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_EQUAL_VALUES_SORT_SLOWLY", slow_on_equal_values)
        result = wasserstein_distances(clean, distorted)
    finite = np.isfinite(clean).all(1) & np.isfinite(distorted).all(1)
    np.testing.assert_array_equal(np.isfinite(result), finite)
    expected = reference(np.nan_to_num(clean), np.nan_to_num(distorted))
    np.testing.assert_allclose(result[finite], expected[finite], rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 100, 10_000])
def test_distances_do_not_depend_on_blocks_and_threads(monkeypatch, threads, block):
    generator = np.random.default_rng(3)
    clean, distorted = np.maximum(generator.normal(size=(2, 7, 6, 5, 11)), 0).astype("float32")
    expected = wasserstein_distances(clean, distorted)
    monkeypatch.setattr(engine, "_VALUES_WORTH_THREADS", 0)
    monkeypatch.setattr(engine, "_BLOCK_VALUES", block)
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    result = wasserstein_distances(clean, distorted)
    assert result.tobytes() == expected.tobytes()


def test_an_error_in_a_thread_is_not_lost(monkeypatch):
    monkeypatch.setattr(engine, "_VALUES_WORTH_THREADS", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(engine, "_sort", fail)
    with pytest.raises(MemoryError, match="no room"):
        wasserstein_distances(np.zeros((2, 3, 3, 2)), np.zeros((2, 3, 3, 2)))


@pytest.mark.tensorflow_only("elsewhere Keras runs a model uncompiled, always or at first")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_tensors_of_a_compiled_function_stay_where_they_are(dtype):
    generator = np.random.default_rng(4)
    maps = np.maximum(generator.normal(size=(2, 3, 6, 5, 4)), 0).astype("float32")
    maps[1, 1, 0, 0, 2] = np.nan
    maps = np.stack([keras.ops.convert_to_numpy(keras.ops.cast(x, dtype)) for x in maps])

    class Distances(keras.Model):
        def call(self, inputs):
            result = wasserstein_distances(*inputs)
            assert keras.ops.is_tensor(result)
            return result

    result = Distances().predict_on_batch([keras.ops.convert_to_tensor(x) for x in maps])
    expected = wasserstein_distances(*maps)
    assert result.dtype == np.float32
    assert np.isnan(result).sum() == 1
    np.testing.assert_allclose(result, expected, rtol=2e-6)


def test_tensors_in_host_memory_are_taken_as_arrays():
    maps = np.random.default_rng(5).normal(size=(2, 3, 6, 5, 4)).astype("float32")
    result = wasserstein_distances(*map(keras.ops.convert_to_tensor, maps))
    assert result.tobytes() == wasserstein_distances(*maps).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["sorted", "scipy"])
def test_outputs_of_a_trainable_layer_are_taken_as_arrays(method, dtype):
    # PyTorch's tensors that carry a gradient refuse to be made arrays.
    images = np.random.default_rng(6).normal(size=(2, 3, 6, 5, 2)).astype("float32")
    layer = keras.layers.Conv2D(4, 3, dtype=dtype)
    maps = [layer(each) for each in images]
    result = wasserstein_distances(*maps, method)
    arrays = [keras.ops.convert_to_numpy(each) for each in maps]
    assert result.tobytes() == wasserstein_distances(*arrays, method).tobytes()


@pytest.mark.not_on("torch", "no tensor is without values where nothing is traced")
def test_scipy_is_not_called_on_tensors_without_values():
    class Distances(keras.Model):
        def call(self, inputs):
            return wasserstein_distances(inputs, inputs, "scipy")

    with pytest.raises(ValueError, match="Expected arrays on the host for method 'scipy'"):
        Distances().predict_on_batch(np.zeros((1, 2, 2, 1), "float32"))
