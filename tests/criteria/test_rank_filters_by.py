import json

import keras
import numpy as np
import pytest
from keras import layers

import kerasft
from kerasft.criteria import CRITERIA, JointCriterion, random_criterion

NEEDS = {
    "emd_borda": ("clean", "distorted"),
    "emd": ("clean", "distorted"),
    "kernel_norm": (),
    "random": (),
    "gradient": ("distorted", "labels"),
    "emd_gradient": ("clean", "distorted", "labels"),
    "correction": ("clean", "distorted", "labels"),
}


def test_all_criteria_are_known():
    assert list(CRITERIA) == list(NEEDS)


def test_the_papers_criterion_is_rank_filters(network, digits):
    expected = kerasft.rank_filters(network, digits.clean, digits.distorted)
    for criterion in ("emd_borda", CRITERIA["emd_borda"]):
        assert kerasft.rank_filters_by(criterion, network, digits) == expected
    for name in ("a", "b"):
        scores = CRITERIA["emd_borda"](network, digits, name)
        assert scores.dtype == np.float64
        assert scores.tolist() == expected[name].borda_counts.tolist()
        np.testing.assert_allclose(
            CRITERIA["emd"](network, digits, name), expected[name].mean_distance, rtol=1e-5
        )


@pytest.mark.parametrize("criterion", [name for name in NEEDS if name != "emd_borda"])
def test_filters_are_ordered_by_score(network, digits, criterion, untouched):
    before = untouched(network)
    ranking = kerasft.rank_filters_by(criterion, network, digits)
    assert untouched(network) == before
    assert list(ranking) == ["a", "b"]
    for name, layer in ranking.items():
        scores = CRITERIA[criterion](network, digits, name)
        assert scores.dtype == np.float64
        np.testing.assert_allclose(layer.mean_distance, scores, rtol=1e-5, atol=1e-9)
        assert layer.order.tolist() == np.argsort(-layer.mean_distance, kind="stable").tolist()
        assert (layer.borda_counts, layer.criterion, layer.pairs) == (None, criterion, 71)
    again = kerasft.rank_filters_by(criterion, network, digits)
    assert again == ranking
    some = kerasft.rank_filters_by(criterion, network, digits, layers=["b"])
    assert some["b"].order.tolist() == ranking["b"].order.tolist()


@pytest.mark.parametrize("criterion", ["emd_borda", "emd", "emd_gradient", "correction"])
def test_the_spoiled_filter_is_first(channels, criterion):
    model, data = channels
    assert kerasft.rank_filters_by(criterion, model, data)["conv"].order[0] == 2


@pytest.mark.parametrize("criterion", ["emd_borda", "emd", "emd_gradient"])
def test_nothing_to_choose_leaves_the_order_of_the_layer(channels, criterion):
    model, data = channels
    same = kerasft.RankingData(data.clean, data.clean, data.labels)
    assert kerasft.rank_filters_by(criterion, model, same)["conv"].order.tolist() == [0, 1, 2, 3]


def test_kernel_norm_is_that_of_each_filter(network, digits):
    for name in ("a", "b"):
        kernel = network.get_layer(name).get_weights()[0].astype("float64")
        expected = [np.linalg.norm(kernel[..., i].ravel()) for i in range(kernel.shape[-1])]
        scores = CRITERIA["kernel_norm"](network, kerasft.RankingData(), name)
        np.testing.assert_allclose(scores, expected, rtol=1e-12)
    ranking = kerasft.rank_filters_by("kernel_norm", network, kerasft.RankingData())
    assert ranking["a"].pairs == 0


def test_kernel_norm_finds_the_heavy_filter_and_none_among_equals(channels):
    model, data = channels
    assert kerasft.rank_filters_by("kernel_norm", model, data)["conv"].order.tolist() == [*range(4)]
    conv = model.get_layer("conv")
    kernel, bias = conv.get_weights()
    kernel[..., 3] *= -2
    conv.set_weights([kernel, bias + [9, 0, 0, 0]])
    assert kerasft.rank_filters_by("kernel_norm", model, data)["conv"].order[0] == 3


def test_random_scores_depend_on_seed_and_name_alone(network):
    nothing = kerasft.RankingData()
    draws = {seed: random_criterion(seed)(network, nothing, "b") for seed in range(40)}
    assert len({tuple(x) for x in draws.values()}) == 40
    assert draws[0].tolist() == CRITERIA["random"](network, nothing, "b").tolist()
    assert draws[3].tolist() == random_criterion(np.int64(3))(network, nothing, "b").tolist()
    image = keras.Input((8, 8, 1))
    other = keras.Model(image, layers.Conv2D(6, 5, name="b")(image), name="other")
    assert draws[0].tolist() == CRITERIA["random"](other, nothing, "b").tolist()
    renamed = keras.Model(image, layers.Conv2D(6, 5, name="c")(image))
    assert draws[0].tolist() != CRITERIA["random"](renamed, nothing, "c").tolist()
    # No filter is preferred.
    assert {int(x.argmax()) for x in draws.values()} == set(range(6))
    assert kerasft.rank_filters_by(random_criterion(5), network, nothing)["a"].criterion == "random"
    for seed in (-1, 1.5, True, None):
        with pytest.raises(ValueError, match=f"^Expected seed as a whole .* Received: {seed}"):
            random_criterion(seed)


def test_random_scores_of_any_convolution(network):
    image = keras.Input((8, 8, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(image)
    model = keras.Model(image, layers.Conv2DTranspose(4, 3, name="transposed")(x))
    data = kerasft.RankingData()
    ranking = kerasft.rank_filters_by("random", model, data, layers=["depthwise", "transposed"])
    assert [len(layer.order) for layer in ranking.values()] == [6, 4]


def test_a_function_of_ones_own_plugs_in(network, digits):
    asked = []

    def by_index(model, data, layer):
        asked.append((model, data, layer))
        return [1, 3, -2, 3, 0] if layer == "a" else np.arange(6, dtype="int8")

    ranking = kerasft.rank_filters_by(by_index, network, digits)
    assert [(x is network, y is digits, z) for x, y, z in asked] == [
        (True, True, "a"),
        (True, True, "b"),
    ]
    assert ranking["a"].order.tolist() == [1, 3, 0, 4, 2]
    assert ranking["a"].criterion == "by_index"
    assert ranking.select(threshold=0.5) == {"a": [0, 1, 3], "b": [1, 2, 3, 4, 5]}
    assert ranking["b"].mean_distance.dtype == np.float64


def test_a_criterion_for_all_layers_is_asked_once(network, digits):
    asked = []

    @JointCriterion
    def joint(model, data, layers):
        asked.append(layers)
        return {name: np.arange(model.get_layer(name).filters) for name in layers}

    ranking = kerasft.rank_filters_by(joint, network, digits)
    assert asked == [["a", "b"]]
    assert ranking["b"].order.tolist() == [5, 4, 3, 2, 1, 0]
    assert ranking["b"].criterion == "joint"
    assert joint(network, digits, "a").tolist() == [0, 1, 2, 3, 4]


def test_layers_in_nested_models_go_by_their_short_names(digits):
    image = keras.Input((8, 8, 1))
    inner = keras.Model(image, layers.Conv2D(3, 3, name="conv")(image), name="inner")
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, name="other")(inner(image))
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(x)))
    for criterion in NEEDS:
        ranking = kerasft.rank_filters_by(
            criterion, model, digits, layers=["other", "inner/conv", "conv"]
        )
        assert list(ranking) == ["other", "conv"]
        scores = CRITERIA[criterion](model, digits, "inner/conv")
        assert scores.shape == (3,)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1, 2], r"Received: dtype int64, shape \(2,\)"),
        (np.zeros((5, 1)), r"shape \(5, 1\)"),
        (7.0, r"shape \(\)"),
        (["a"] * 5, "dtype <U1"),
        ([None] * 5, "dtype object"),
        ([[1], [2, 3]], "parts of different lengths"),
        (np.ones(5, complex), "dtype complex128"),
        ([0, np.nan, 0, np.inf, 0], r"NaN or infinity for filters \[1, 3\]"),
    ],
)
def test_scores_that_are_none_are_refused(network, digits, scores, message):
    def mine(model, data, layer):
        return scores

    with pytest.raises(
        ValueError,
        match=rf"^Expected 5 finite scores of layer 'a' from criterion 'mine'\. .*{message}",
    ):
        kerasft.rank_filters_by(mine, network, digits, layers=["a"])


@pytest.mark.parametrize(
    ("criterion", "missing"), [(name, part) for name, parts in NEEDS.items() for part in parts]
)
def test_data_without_what_a_criterion_needs_are_refused(network, digits, criterion, missing):
    data = kerasft.RankingData(**{**vars(digits), missing: None})
    with pytest.raises(
        ValueError, match=rf"^Expected data with .*{missing}.* Received: .* without {missing}\.$"
    ):
        kerasft.rank_filters_by(criterion, network, data)
    short = kerasft.RankingData(**{**vars(digits), missing: getattr(digits, missing)[:70]})
    with pytest.raises(ValueError, match=rf"^Expected as many .* Received: .*'{missing}': 70"):
        kerasft.rank_filters_by(criterion, network, short)


@pytest.mark.parametrize("criterion", [name for name, parts in NEEDS.items() if parts])
@pytest.mark.parametrize(
    ("distorted", "message"),
    [
        (np.zeros((0, 8, 8, 1)), "at least one"),
        (np.zeros((71, 8, 7, 1)), "Expected .* images of shape"),
        (np.full((71, 8, 8, 1), np.nan), "Expected finite"),
    ],
)
def test_bad_images_are_refused(network, digits, criterion, distorted, message):
    count = len(distorted)
    data = kerasft.RankingData(digits.clean[:count], distorted, digits.labels[:count])
    with pytest.raises(ValueError, match=message):
        kerasft.rank_filters_by(criterion, network, data)


@pytest.mark.parametrize("criterion", [name for name, parts in NEEDS.items() if parts])
def test_a_model_of_several_inputs_is_refused(digits, criterion):
    inputs = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    maps = keras.layers.Conv2D(2, 3)(keras.layers.Add()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(maps)))
    two = kerasft.RankingData([digits.clean] * 2, [digits.distorted] * 2, digits.labels)
    with pytest.raises(ValueError, match=r"^Expected a model with one input\. Received: .* with 2"):
        kerasft.rank_filters_by(criterion, model, two)


@pytest.mark.parametrize(("images", "kind"), [(iter([1]), "list_iterator"), (5, "int")])
@pytest.mark.parametrize("part", ["clean", "distorted"])
def test_images_without_a_number_are_refused_before_any_scoring(network, images, kind, part):
    def criterion(model, data, layer):
        raise AssertionError("a layer was scored")

    data = kerasft.RankingData(**{part: images})
    with pytest.raises(ValueError, match=rf"^Expected {part} .* array. Received: {kind}\.$"):
        kerasft.rank_filters_by(criterion, network, data)


@pytest.mark.parametrize("criterion", ["gradient", "emd_gradient", "correction"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(71, 10), "labels from 0 to 9 in labels. Received: 10 to 10"),
        (np.full(71, 0.5), "whole numbers. Received: 0.5"),
        (np.array(["7"] * 71), "array of numbers"),
        (np.zeros((71, 3)), "one-hot labels for 10 classes"),
    ],
)
def test_bad_labels_are_refused(network, digits, criterion, labels, message):
    data = kerasft.RankingData(digits.clean, digits.distorted, labels)
    with pytest.raises(ValueError, match=message):
        kerasft.rank_filters_by(criterion, network, data)


def test_other_arguments_that_are_none_are_refused(network, digits):
    with pytest.raises(ValueError, match=r"^Expected a criterion of \['emd_borda', .* 'borda'"):
        kerasft.rank_filters_by("borda", network, digits)
    with pytest.raises(TypeError, match=r"^Expected a criterion as a name .* Received: int"):
        kerasft.rank_filters_by(7, network, digits)
    with pytest.raises(TypeError, match=r"^Expected a keras.Model. Received: str"):
        kerasft.rank_filters_by("emd", "model", digits)
    with pytest.raises(TypeError, match=r"^Expected data as a RankingData. Received: tuple"):
        kerasft.rank_filters_by("emd", network, (digits.clean, digits.distorted))
    for criterion in NEEDS:
        with pytest.raises(ValueError, match=r"^Expected the name of a layer .* 'c'"):
            kerasft.rank_filters_by(criterion, network, digits, layers=["c"])


@pytest.mark.parametrize("criterion", ["kernel_norm", "gradient", "emd_gradient"])
def test_convolutions_whose_filters_share_weights_are_refused(criterion):
    image = keras.Input((8, 8, 1))
    conv = layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv")
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(conv(image))))
    images = np.zeros((3, 8, 8, 1))
    data = kerasft.RankingData(images, images, np.arange(3))
    with pytest.raises(ValueError, match=r"^Expected a Conv1D, Conv2D or Conv3D layer"):
        kerasft.rank_filters_by(criterion, model, data, layers=["conv"])


def test_a_model_with_lora_is_refused_by_gradient():
    image = keras.Input((8, 8, 1))
    conv = layers.Conv2D(3, 3, name="conv")
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(conv(image))))
    conv.enable_lora(2)
    data = kerasft.RankingData(distorted=np.zeros((3, 8, 8, 1)), labels=np.arange(3))
    with pytest.raises(ValueError, match=r"^Expected convolutions without LoRA .*'conv'"):
        kerasft.rank_filters_by("gradient", model, data)


@pytest.mark.parametrize("criterion", ["gradient", "correction"])
def test_a_model_that_is_wired_in_code_is_refused(digits, criterion):
    class Wired(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(3, 3, name="conv")
            self.pool = layers.GlobalAveragePooling2D()
            self.head = layers.Dense(10, activation="softmax")

        def call(self, images):
            return self.head(self.pool(self.conv(images / 255)))

    model = Wired()
    model(digits.clean[:1].astype("float32"))
    with pytest.raises(ValueError, match=r"^Expected a Functional or Sequential model. Received"):
        kerasft.rank_filters_by(criterion, model, digits)
    assert len(kerasft.rank_filters_by("emd", model, digits)["conv"].order) == 3


# A ranking by another criterion, as a result.


@pytest.fixture
def scored():
    layer = kerasft.LayerRanking.from_scores([0.5, -1.5, 0.5, 0.1 + 0.2], 0, "größe")
    return kerasft.FilterRanking({"conv": layer})


def test_scores_order_filters_ties_by_index(scored):
    layer = scored["conv"]
    assert layer.order.tolist() == [0, 2, 3, 1]
    assert layer.order.dtype == np.int64
    assert layer.mean_distance.dtype == np.float64
    assert scored.select(threshold=-2) == {"conv": [0, 1, 2, 3]}
    assert scored.select(threshold=0.4) == {"conv": [0, 2]}
    assert scored.select(count=1, which="least") == {"conv": [1]}
    with pytest.raises(ValueError, match=r"the largest value is 0\.5"):
        scored.select(threshold=0.5)


def test_scores_are_saved_and_come_back_exactly(scored, tmp_path):
    path = tmp_path / "ranking.json"
    scored.save(path)
    loaded = kerasft.FilterRanking.load(path)
    assert loaded == scored
    assert loaded["conv"].criterion == "größe"
    other = kerasft.LayerRanking.from_scores(scored["conv"].mean_distance, 0, "another")
    assert loaded != kerasft.FilterRanking({"conv": other})


@pytest.mark.parametrize(
    "changes",
    [
        {"criterion": 7},
        {"criterion": ["emd"]},
        {"criterion": "emd", "borda_counts": [1, 2]},
        {"criterion": "emd", "confidence": 0.5},
        {"criterion": "emd", "pairs": -1},
        {"criterion": "emd", "mean_distance": [0.5, float("nan")]},
        {"criterion": "emd", "mean_distance": []},
        {"criterion": None, "pairs": 0},
        {"criterion": None, "mean_distance": [-0.5, 1.0]},
    ],
    ids=str,
)
def test_a_mangled_file_is_refused(tmp_path, changes):
    item = {"borda_counts": None, "mean_distance": [-0.5, 1.0], "pairs": 1} | changes
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps({"format": "kerasft ranking 1", "layers": {"conv": item}}))
    with pytest.raises(ValueError, match=r"^Expected a file in the format"):
        kerasft.FilterRanking.load(path)


def test_scores_stand_in_the_table_and_do_not_add_up(scored):
    frame = scored.to_frame()
    assert frame["mean_distance"].tolist() == [0.5, 0.5, 0.1 + 0.2, -1.5]
    assert frame["borda_count"].isna().all()
    votes = kerasft.FilterRanking(
        {"conv": kerasft.LayerRanking.from_votes([10, 9, 8, 7], np.ones(4), 1)}
    )
    for pair in ((scored, scored), (votes, scored), (scored, votes)):
        with pytest.raises(ValueError, match=r"^Expected rankings with Borda .* ranked by 'größe'"):
            pair[0] + pair[1]
    assert scored.overlap(votes, 0.5) == {"conv": 0.5}
