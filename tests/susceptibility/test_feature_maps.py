"""Feature maps come from the part of the model that leads to them, and are those of the model."""

import keras
import numpy as np
import pytest

from kerasft.layer_lookup import named_layers
from kerasft.susceptibility.feature_distances import FeatureDistances
from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.wasserstein import wasserstein_distances

IMAGES = np.random.default_rng(0).uniform(0, 1, (3, 8, 8, 3)).astype("float32")


def outputs(layer, images):
    return keras.ops.convert_to_numpy(layer(images))


class Counted(keras.layers.Layer):
    """Passes its input on, and counts how often it was asked to."""

    calls = 0

    def call(self, inputs):
        if not isinstance(inputs, keras.KerasTensor):
            type(self).calls += 1
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def functional():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="early")(inputs)
    late = keras.layers.Conv2D(5, 3, name="late")(Counted()(x))
    return keras.Model(inputs, late)


def sequential():
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="early"), Counted()]
    return keras.Sequential([*layers, keras.layers.Conv2D(5, 3, name="late")])


def nested():
    inputs = keras.Input((8, 8, 3))
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="early")], name="inner"
    )
    late = keras.layers.Conv2D(5, 3, name="late")(Counted()(inner(inputs)))
    return keras.Model(inputs, late)


@pytest.mark.parametrize("build", [functional, sequential, nested])
def test_layers_behind_the_last_one_asked_for_do_not_run(build, monkeypatch):
    model = build()
    layer = next(x for path, x in named_layers(model).items() if path.endswith("early"))
    # Eagerly, where no compiler drops what is not needed.
    maps_of = FeatureMaps(model, {"early": [layer]})
    maps_of.run_eagerly = True
    monkeypatch.setattr(Counted, "calls", 0)
    (maps,) = maps_of.compute_calls(IMAGES)["early"]
    assert Counted.calls == 0
    np.testing.assert_allclose(maps, outputs(layer, IMAGES), atol=1e-6)
    both = FeatureMaps(model, {"early": [layer], "late": [model.get_layer("late")]})
    both.run_eagerly = True
    both.compute(IMAGES)
    assert Counted.calls > 0


def test_sequential_model_from_a_file_calls_each_layer_once(tmp_path, monkeypatch):
    # Keras calls all layers of a model that it reads anew at each layer that it adds.
    model = sequential()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"Counted": Counted}, compile=False
    )
    found, counted = [], []
    for one in (model, loaded):
        maps_of = FeatureMaps(one, {name: [one.get_layer(name)] for name in ("early", "late")})
        maps_of.run_eagerly = True
        monkeypatch.setattr(Counted, "calls", 0)
        found.append(maps_of.compute_calls(IMAGES))
        counted.append(Counted.calls)
    # JAX calls it once more, to know the shapes.
    assert counted[0] == counted[1] > 0
    for name in ("early", "late"):
        np.testing.assert_array_equal(found[1][name], found[0][name])


def test_layer_called_twice_gives_the_maps_of_both_calls():
    inputs = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 3, name="shared")
    model = keras.Model(inputs, keras.layers.Add()([shared(inputs), shared(inputs * 2.0)]))
    calls = FeatureMaps(model, {"shared": [shared]}).compute_calls(IMAGES)["shared"]
    for maps, images in zip(calls, (IMAGES, IMAGES * 2), strict=True):
        np.testing.assert_allclose(maps, outputs(shared, images), atol=1e-6)


def test_layer_that_an_older_model_calls_as_well_is_heard_in_the_right_model():
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(4, 3, name="conv")
    keras.Model(inputs, conv(inputs))
    model = keras.Model(inputs, conv(keras.layers.Rescaling(5.0)(inputs)))
    maps = FeatureMaps(model, {"conv": [conv]}).compute(IMAGES)["conv"]
    np.testing.assert_allclose(maps, outputs(conv, IMAGES * 5).reshape(maps.shape), atol=1e-5)


def test_layer_that_an_older_sequential_model_calls_as_well():
    conv = keras.layers.Conv2D(4, 3, name="conv")
    first = keras.Sequential([keras.Input((8, 8, 3)), conv])
    first.build()
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(5.0), conv])
    maps = FeatureMaps(model, {"conv": [conv]}).compute(IMAGES)["conv"]
    np.testing.assert_allclose(maps, outputs(conv, IMAGES * 5).reshape(maps.shape), atol=1e-5)


def test_models_with_named_inputs_are_cut():
    first, second = keras.Input((8, 8, 3), name="first"), keras.Input((8, 8, 3), name="second")
    conv = keras.layers.Conv2D(4, 3, name="conv")
    joined = Counted()(keras.layers.Concatenate()([conv(second), first[:, 1:-1, 1:-1]]))
    model = keras.Model({"first": first, "second": second}, joined)
    images = {"first": IMAGES, "second": IMAGES + 1}
    maps = FeatureMaps(model, {"conv": [conv]}).compute(images)["conv"]
    np.testing.assert_allclose(maps, outputs(conv, IMAGES + 1).reshape(maps.shape), atol=1e-5)


@pytest.mark.parametrize("eagerly", [False, True])
def test_distances_are_those_of_the_maps(eagerly):
    model = functional()
    chains = {"early": [model.get_layer("early")], "late": [model.get_layer("late")]}
    maps_of = FeatureMaps(model, chains)
    maps_of.run_eagerly = eagerly
    distances = FeatureDistances(maps_of).predict_on_batch((IMAGES, IMAGES[::-1] * 1.5))
    clean, distorted = maps_of.compute(IMAGES), maps_of.compute(IMAGES[::-1] * 1.5)
    assert list(distances) == ["early", "late"]
    for name, found in distances.items():
        expected = wasserstein_distances(clean[name], distorted[name])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_distances_join_the_calls_of_a_shared_layer():
    inputs = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 3, name="shared")
    model = keras.Model(inputs, [shared(inputs), shared(inputs[:, ::2, ::2])])
    maps_of = FeatureMaps(model, {"shared": [shared]})
    distances = FeatureDistances(maps_of).predict_on_batch((IMAGES, IMAGES[::-1]))["shared"]
    clean, distorted = (maps_of.compute(x)["shared"] for x in (IMAGES, IMAGES[::-1]))
    assert clean.shape == (3, 36 + 4, 4)
    np.testing.assert_allclose(distances, wasserstein_distances(clean, distorted), rtol=1e-5)


@pytest.mark.parametrize("error", [TypeError, RuntimeError])
def test_model_whose_configuration_cannot_be_had_is_run_whole(error):
    class Secretive(keras.layers.Layer):
        def get_config(self):
            raise error("not yours")

        def call(self, inputs):
            return inputs

    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(4, 3, activation=lambda x: x, name="conv")
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(conv(Secretive()(inputs))))
    maps = FeatureMaps(model, {"conv": [conv]}).compute(IMAGES)["conv"]
    np.testing.assert_allclose(maps, outputs(conv, IMAGES).reshape(maps.shape), atol=1e-5)


def test_lambda_in_a_layer_is_nothing_to_warn_of():
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(4, 3, activation=lambda x: x, name="conv")
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(conv(inputs)))
    assert FeatureMaps(model, {"conv": [conv]}).compute(IMAGES)["conv"].shape == (3, 36, 4)
