"""Models whose class has a constructor of its own come back as that class."""

import keras
import numpy as np
import pytest
from keras import layers
from surgery_models import assert_same_predictions, make, make_inputs, weights

import kerasft
from kerasft.layer_lookup import named_layers


@keras.saving.register_keras_serializable("tests")
class Net(keras.Model):
    def __init__(self, width, **arguments):
        image = keras.Input((6, 6, 3))
        x = layers.Conv2D(width, 3, padding="same", name="a")(image)
        super().__init__(image, layers.BatchNormalization(name="norm")(x), **arguments)
        self.width = width

    def get_config(self):
        return {"name": self.name, "width": self.width}


@keras.saving.register_keras_serializable("tests")
class Stack(keras.Sequential):
    def __init__(self, width=3, **arguments):
        content = [keras.Input((6, 6, 4)), layers.Conv2D(width, 3, name="a"), layers.ReLU()]
        super().__init__(content, **arguments)
        self.width = width

    def get_config(self):
        return {"name": self.name, "width": self.width}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


class Bare(keras.Sequential):
    """Not registered, and with the constructor of Keras."""


@keras.saving.register_keras_serializable("tests")
class Classifier(keras.Model):
    """Around another model, as those of KerasHub are."""

    def __init__(self, backbone, **arguments):
        image = keras.Input((6, 6, 3))
        x = layers.Flatten()(Stack(5, name="stack")(backbone(image)))
        super().__init__(image, layers.Dense(2, name="head")(x), **arguments)
        self.backbone = backbone

    def get_config(self):
        return {"name": self.name, "backbone": keras.saving.serialize_keras_object(self.backbone)}

    @classmethod
    def from_config(cls, config):
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"))
        return cls(backbone, **config)


def net():
    return Net(4, name="net")


def stack():
    return Stack(5, name="stack")


def bare():
    return Bare([keras.Input((6, 6, 3)), layers.Conv2D(3, 3, name="a")], name="bare")


def classifier():
    return Classifier(net(), name="classifier")


def inside():
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Dense(2, name="last")(classifier()(image)))


MODELS = {
    net: {"a": [1]},
    stack: {"a": [0, 2]},
    bare: {"a": [2]},
    classifier: {"net/a": [1]},
    inside: {"classifier/net/a": [1, 3], "classifier/stack/a": [0]},
}
models = pytest.mark.parametrize(
    ("build", "selection"), MODELS.items(), ids=lambda x: getattr(x, "__name__", "")
)


def classes(model):
    return [type(model), *(type(layer) for layer in named_layers(model).values())]


@models
def test_class_weights_and_predictions_come_back(tmp_path, build, selection):
    model = make(build)
    inputs = make_inputs(model, batch=4)
    partial = kerasft.make_partially_trainable(model, selection)
    assert_same_predictions(partial, model, inputs)
    untrained = kerasft.merge(partial)
    assert weights(untrained) == weights(model)
    assert classes(untrained) == classes(model)

    partial.compile(keras.optimizers.AdamW(0.05, weight_decay=0.3), "mse")
    partial.fit(inputs, np.ones((4, *model.output_shape[1:])), verbose=0)
    merged = kerasft.merge(partial)
    assert classes(merged) == classes(model)
    assert_same_predictions(merged, partial, inputs)
    # In order, since layers without a name of their own get another.
    for (path, old), new in zip(
        named_layers(model).items(), named_layers(merged).values(), strict=True
    ):
        if isinstance(old, keras.Model):
            continue
        chosen = selection.get(path, [])
        for before, after in zip(old.get_weights(), new.get_weights(), strict=True):
            moved = [i for i in range(before.shape[-1]) if (before[..., i] != after[..., i]).any()]
            assert moved == chosen
    # Weights stand in a file under the names of classes.
    merged.save_weights(tmp_path / "merged.weights.h5")
    model.load_weights(tmp_path / "merged.weights.h5")
    assert weights(model) == weights(merged)


@pytest.mark.parametrize("build", [net, stack, inside], ids=lambda build: build.__name__)
def test_class_comes_back_out_of_a_file(tmp_path, build):
    model = make(build)
    partial = kerasft.make_partially_trainable(model, MODELS[build])
    partial.save(tmp_path / "partial.keras")
    loaded = keras.saving.load_model(tmp_path / "partial.keras")
    assert len(loaded.trainable_weights) == len(partial.trainable_weights)
    merged = kerasft.merge(loaded)
    assert classes(merged) == classes(model)
    assert weights(merged) == weights(model)


class Forgetful(keras.Model):
    """Cannot be made from its configuration."""

    def __init__(self, table):
        image = keras.Input((6, 6, 3))
        super().__init__(image, layers.Conv2D(2, 3, name="a")(image), name="forgetful")
        self.table = table

    def get_config(self):
        raise NotImplementedError("no configuration")


class Changeable(Net):
    """Its configuration makes another network."""

    def get_config(self):
        return {"name": self.name, "width": self.width + 1}


class Scaling(Net):
    def call(self, inputs, training=None, mask=None):
        return super().call(inputs / 255.0, training=training, mask=mask)


class Growing(keras.Sequential):
    """Its constructor asks for what Keras does not give."""

    def __init__(self, width):
        super().__init__([keras.Input((6, 6, 3)), layers.Conv2D(width, 3, name="a")], name="grow")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: Forgetful({}), r"keras\.Model\(model\.inputs, .*'forgetful' of class Forgetful"),
        (lambda: Changeable(3, name="c"), r"Received: 'c' of class Changeable: another network"),
        (lambda: Growing(2), r"Received: 'grow' of class Growing: "),
        (lambda: Scaling(3, name="s"), r"Received: 's' of class Scaling, whose own call a copy"),
    ],
    ids=["no configuration", "another network", "Sequential", "own call"],
)
def test_what_could_not_be_given_back_is_refused_before_it_is_trained(model, message):
    with pytest.raises(ValueError, match=rf"^Expected models .*{message}"):
        kerasft.make_partially_trainable(model(), {"a": [0]})


def test_a_model_is_converted_again_before_it_is_merged():
    model = make(classifier)
    once = kerasft.make_partially_trainable(model, {"net/a": [1]})
    twice = kerasft.make_partially_trainable(once, {"stack/a": [0]})
    assert len(twice.trainable_weights) == 4
    merged = kerasft.merge(twice)
    assert classes(merged) == classes(model)
    assert weights(merged) == weights(model)


def test_the_ways_out_lead_out():
    forgetful, growing, scaling = Forgetful({}), Growing(2), Scaling(3, name="s")
    image = keras.Input((6, 6, 3))
    for model in (
        keras.Model(forgetful.inputs, forgetful.outputs),
        keras.Model(growing.inputs, growing.outputs),
        keras.Model(image, scaling.call(image)),
    ):
        partial = kerasft.make_partially_trainable(model, {"a": [0]})
        assert weights(kerasft.merge(partial)) == weights(model)
