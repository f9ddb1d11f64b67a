import keras
import numpy as np
import pytest

import kerasft

NAMES = ["first", "second"]


def feature_maps(model, images, names):
    extractor = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    return extractor.predict(images, verbose=0)


@pytest.fixture(scope="module")
def ranking(model, clean, distorted):
    return kerasft.rank_filters(model, clean, distorted, keep_distances=True)


@pytest.mark.parametrize("method", ["sorted", "scipy"])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_ranking_is_that_of_the_slow_reference(
    model, clean, distorted, slow_ranking, method, batch_size
):
    ranking = kerasft.rank_filters(
        model, clean, distorted, method=method, batch_size=batch_size, keep_distances=True
    )
    assert list(ranking) == NAMES
    maps = zip(
        NAMES,
        feature_maps(model, clean, NAMES),
        feature_maps(model, distorted, NAMES),
        strict=True,
    )
    for name, clean_maps, distorted_maps in maps:
        order, points, distances = slow_ranking(clean_maps, distorted_maps)
        result = ranking[name]
        assert result.order.tolist() == order
        assert result.borda_counts.tolist() == points
        assert result.pairs == len(clean)
        np.testing.assert_allclose(result.distances, distances, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            result.mean_distance, distances.mean(axis=0), rtol=1e-4, atol=1e-6
        )


def test_fewer_and_more_than_ten_filters_share_all_points(ranking, clean):
    assert ranking["first"].borda_counts.sum() == len(clean) * (10 + 9 + 8 + 7 + 6 + 5)
    assert ranking["second"].borda_counts.sum() == len(clean) * 55


def test_order_of_pairs_does_not_matter(model, clean, distorted, ranking, agree):
    order = np.random.default_rng(3).permutation(len(clean))
    agree(kerasft.rank_filters(model, clean[order], distorted[order]), ranking)


def test_rankings_of_shards_add_up_to_the_whole(model, clean, distorted, ranking, agree):
    shards = [
        kerasft.rank_filters(model, clean[part], distorted[part], keep_distances=True)
        for part in (slice(0, 2), slice(2, 3), slice(3, None))
    ]
    for total in (shards[0] + shards[1] + shards[2], sum(shards)):
        agree(total, ranking)
        for name in NAMES:
            np.testing.assert_allclose(
                total[name].distances, ranking[name].distances, rtol=1e-4, atol=1e-6
            )


def test_identical_images_disturb_no_filter(model, clean):
    ranking = kerasft.rank_filters(model, clean, clean)
    for layer in ranking.values():
        assert not layer.mean_distance.any()
        assert layer.order.tolist() == list(range(len(layer.order)))


def test_layers_are_ranked_by_name_in_the_order_asked_for(model, clean, distorted, ranking, agree):
    assert list(kerasft.rank_filters(model, clean, distorted, layers=["second", "first"])) == [
        "second",
        "first",
    ]
    only = kerasft.rank_filters(model, clean, distorted, layers=["second", "second"])
    agree(only, kerasft.FilterRanking({"second": ranking["second"]}))


def test_distances_are_kept_only_when_asked_for(model, clean, distorted, ranking):
    assert kerasft.rank_filters(model, clean, distorted)["first"].distances is None
    assert ranking["first"].distances.shape == (len(clean), 6)
    assert ranking["second"].distances.shape == (len(clean), 12)


def test_integer_images_rank_as_the_same_floats(model, clean, distorted, agree):
    clean, distorted = clean.astype("uint8"), distorted.astype("uint8")
    agree(
        kerasft.rank_filters(model, clean, distorted),
        kerasft.rank_filters(model, clean.astype("float32"), distorted.astype("float32")),
    )


def test_the_only_pair_is_enough(model, clean, distorted):
    ranking = kerasft.rank_filters(model, clean[:1], distorted[:1])
    assert sorted(ranking["first"].borda_counts) == [5, 6, 7, 8, 9, 10]


def test_half_precision_feature_maps_are_ranked(clean, distorted, slow_ranking):
    keras.utils.set_random_seed(1)
    policy = {"dtype": "mixed_float16"}
    half = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255, **policy),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv", **policy),
        ]
    )
    maps = feature_maps(half, clean, ["conv"]), feature_maps(half, distorted, ["conv"])
    assert maps[0].dtype == np.float16
    order, points, distances = slow_ranking(*maps)
    result = kerasft.rank_filters(half, clean, distorted)["conv"]
    assert (result.order.tolist(), result.borda_counts.tolist()) == (order, points)
    np.testing.assert_allclose(result.mean_distance, distances.mean(axis=0), rtol=1e-6)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.scale = keras.layers.Rescaling(1 / 255)
        self.conv = keras.layers.Conv2D(6, 3, activation="relu", name="first")
        self.unused = keras.layers.Conv2D(3, 3, name="unused")
        self.unused.build((None, 8, 8, 3))
        self.pool = keras.layers.GlobalAveragePooling2D()

    def call(self, images):
        return self.pool(self.conv(self.scale(images)))


@pytest.fixture
def subclassed(model, clean):
    subclassed = Subclassed()
    subclassed(clean[:1])
    subclassed.conv.set_weights(model.get_layer("first").get_weights())
    return subclassed


def test_subclassed_model_is_ranked(subclassed, clean, distorted, ranking, agree):
    result = kerasft.rank_filters(subclassed, clean, distorted, layers=["first"])
    agree(result, kerasft.FilterRanking({"first": ranking["first"]}))


def test_layer_that_the_model_never_calls_is_refused(subclassed, clean, distorted):
    with pytest.raises(ValueError, match=r"Expected layers that the model calls.*\['unused'\]"):
        kerasft.rank_filters(subclassed, clean, distorted)


def test_model_that_can_only_run_eagerly_is_ranked(clean, distorted):
    class Eager(Subclassed):
        def call(self, images):
            images = self.scale(images)
            return self.conv(images / float(keras.ops.max(images)))

    eager = Eager()
    eager(clean[:1])
    eager.compile(run_eagerly=True)
    assert list(kerasft.rank_filters(eager, clean, distorted, layers=["first"])) == ["first"]


def test_nested_models_are_ranked_by_bare_name_or_path(model, clean, distorted, ranking, agree):
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 3, activation="relu", name="first")],
        name="inner",
    )
    inputs = keras.Input((8, 8, 3))
    x = inner(keras.layers.Rescaling(1 / 255)(inputs))
    outer = keras.Sequential([keras.Input((6, 6, 6)), keras.layers.Conv2D(4, 3, name="last")])
    nested = keras.Model(inputs, outer(x))
    inner.set_weights(model.get_layer("first").get_weights())
    expected = kerasft.FilterRanking({"first": ranking["first"]})
    for name in ("first", "inner/first"):
        agree(kerasft.rank_filters(nested, clean, distorted, layers=[name]), expected)
    assert list(kerasft.rank_filters(nested, clean, distorted)) == ["first", "last"]


def test_same_name_in_two_nested_models_is_told_apart_by_path(clean, distorted):
    inputs = keras.Input((8, 8, 3))
    parts = [
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")], name=n)
        for n in ("left", "right")
    ]
    twice = keras.Model(inputs, keras.layers.Add()([part(inputs) for part in parts]))
    ranking = kerasft.rank_filters(twice, clean, distorted)
    assert list(ranking) == ["left/conv", "right/conv"]
    with pytest.raises(ValueError, match=r"'conv'.*\['left/conv', 'right/conv'\]"):
        kerasft.rank_filters(twice, clean, distorted, layers=["conv"])
    assert list(kerasft.rank_filters(twice, clean, distorted, layers=["right/conv"])) == [
        "right/conv"
    ]


def test_layer_called_twice_is_ranked_on_the_values_of_both_calls(clean, distorted, slow_ranking):
    keras.utils.set_random_seed(0)
    shared = keras.layers.Conv2D(5, 3, padding="same", name="shared")
    inputs = keras.Input((8, 8, 3))
    # Not `[..., ::-1]`: PyTorch has no steps back.
    again = keras.layers.Concatenate()([keras.ops.flip(inputs, axis=-1)])
    twice = keras.Model(inputs, [shared(inputs), shared(again)])

    def both(images):
        return np.concatenate(twice.predict(images, verbose=0), axis=1)

    order, points, distances = slow_ranking(both(clean), both(distorted))
    result = kerasft.rank_filters(twice, clean, distorted)["shared"]
    assert (result.order.tolist(), result.borda_counts.tolist()) == (order, points)
    np.testing.assert_allclose(result.mean_distance, distances.mean(axis=0), rtol=1e-5)


def test_model_with_two_inputs_is_ranked(clean, distorted, ranking, model, agree):
    inputs = [keras.Input((8, 8, 3), name=name) for name in ("left", "right")]
    left = keras.layers.Conv2D(6, 3, activation="relu", name="first")
    right = keras.layers.Conv2D(4, 3, name="other")
    halves = [left(keras.layers.Rescaling(1 / 255)(inputs[0])), right(inputs[1])]
    two = keras.Model(inputs, keras.layers.Concatenate()(halves))
    left.set_weights(model.get_layer("first").get_weights())
    expected = kerasft.FilterRanking({"first": ranking["first"]})
    pairs = [clean, distorted[::-1]], [distorted, clean[::-1]]
    agree(kerasft.rank_filters(two, *pairs, layers=["first"], batch_size=4), expected)
    named = [dict(zip(("left", "right"), part, strict=True)) for part in pairs]
    agree(kerasft.rank_filters(two, *named, layers=["first"], batch_size=4), expected)
    with pytest.raises(ValueError, match=r"as many rows in each array. Received: \[11, 3\]"):
        kerasft.rank_filters(two, [clean, clean[:3]], [clean, clean[:3]])


def test_channels_first_layers_are_ranked_by_channel(model, clean, distorted, ranking, agree):
    channels_first = keras.Sequential(
        [
            keras.Input((3, 8, 8)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(
                6, 3, activation="relu", name="first", data_format="channels_first"
            ),
        ]
    )
    channels_first.set_weights(model.get_layer("first").get_weights())
    images = [x.transpose(0, 3, 1, 2) for x in (clean, distorted)]
    result = kerasft.rank_filters(channels_first, *images)
    agree(result, kerasft.FilterRanking({"first": ranking["first"]}))
    # It would blur across channels.
    blur = kerasft.GaussianBlur(1.0)
    with pytest.raises(ValueError, match="Expected a function for images with channels first"):
        kerasft.rank_filters(channels_first, images[0], blur)
    with pytest.raises(ValueError, match="Expected a function for images with channels first"):
        kerasft.mean_disparity(channels_first, images[0], blur)
    moved = kerasft.rank_filters(
        channels_first, images[0], lambda x: np.moveaxis(blur(np.moveaxis(x, 1, -1)), -1, 1)
    )
    expected = kerasft.rank_filters(model, clean, blur, layers=["first"])
    agree(moved, expected)


def test_a_model_that_moves_channels_first_itself_takes_distortions(clean):
    first = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Permute((3, 1, 2)),
            keras.layers.Conv2D(6, 3, name="first", data_format="channels_first"),
        ]
    )
    assert kerasft.rank_filters(first, clean, kerasft.GaussianBlur(1.0))["first"].pairs == 11


def test_partially_trainable_model_ranks_as_its_source(model, clean, distorted, ranking, agree):
    partial = kerasft.make_partially_trainable(model, ranking.select(fraction=0.5))
    agree(kerasft.rank_filters(partial, clean, distorted), ranking)


def connections(model):
    return {layer.name: len(layer._inbound_nodes) for layer in model.layers}


def test_model_is_not_changed(model, clean, distorted):
    weights, nodes = model.get_weights(), connections(model)
    before = model.predict(clean, verbose=0)
    kerasft.rank_filters(model, clean, distorted, after_activation=True)
    assert all("call" not in vars(layer) for layer in model.layers)
    assert connections(model) == nodes
    assert feature_maps(model, clean, ["second"]).shape == (11, 6, 6, 12)
    np.testing.assert_array_equal(model.predict(clean, verbose=0), before)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_model_is_not_changed_where_ranking_fails(clean, distorted):
    class Failing(Subclassed):
        failing = True

        def call(self, images):
            result = super().call(images)
            if self.failing:
                raise RuntimeError("on purpose")
            return result

    failing = Failing()
    failing.failing = False
    failing(clean[:1])
    failing.failing = True
    with pytest.raises(RuntimeError, match="on purpose"):
        kerasft.rank_filters(failing, clean, distorted, layers=["first"])
    assert "call" not in vars(failing.conv)
    failing.failing = False
    assert list(kerasft.rank_filters(failing, clean, distorted, layers=["first"])) == ["first"]


def test_dropout_and_batch_normalization_are_in_inference_mode(model, clean, distorted, agree):
    first, second = (kerasft.rank_filters(model, clean, distorted) for _ in range(2))
    agree(first, second)
