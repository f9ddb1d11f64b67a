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


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


_float64 = pytest.param("float64", marks=pytest.mark.not_on("jax", "no float64 unless switched on"))


@pytest.mark.parametrize("policy", ["mixed_float16", _float64], indirect=True)
@pytest.mark.parametrize("build", [net, stack, classifier], ids=lambda build: build.__name__)
def test_the_dtype_policy_stays_whatever_the_global_one_is(tmp_path, policy, build):
    model, outside = make(build), keras.dtype_policies.DTypePolicy("float32")
    inputs = make_inputs(model)
    keras.config.set_dtype_policy(outside)
    partial = kerasft.make_partially_trainable(model, MODELS[build])
    partial.save(tmp_path / "partial.keras")
    merged = kerasft.merge(partial)
    from_file = kerasft.merge(keras.saving.load_model(tmp_path / "partial.keras"))
    assert keras.config.dtype_policy().name == "float32"
    for copy in (partial, merged, from_file):
        assert copy.dtype_policy.name == policy
        for layer, copied in zip(
            named_layers(model).values(), named_layers(copy).values(), strict=True
        ):
            # Inputs compute nothing.
            if not isinstance(layer, layers.InputLayer):
                assert copied.dtype_policy.name == layer.dtype_policy.name
        assert_same_predictions(copy, model, inputs)
    assert weights(merged) == weights(from_file) == weights(model)
    partial.compile("adam", "mse")
    scaled = isinstance(partial.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_a_constructor_that_fails_leaves_the_global_policy(monkeypatch):
    partial = kerasft.make_partially_trainable(Net(4, name="net", dtype="float64"), {"a": [1]})
    monkeypatch.setattr(Net, "from_config", lambda config: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kerasft.merge(partial)
    assert keras.config.dtype_policy().name == "float32"


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


class Stateful(Stack):
    """Its configuration is not that of a Sequential model, which it is made from."""

    from_config = keras.Sequential.from_config


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: Forgetful({}), r"keras\.Model\(model\.inputs, .*'forgetful' of class Forgetful"),
        (lambda: Changeable(3, name="c"), r"Received: 'c' of class Changeable: another network"),
        (lambda: Stateful(3, name="s"), r"Received: 's' of class Stateful: KeyError: 'layers'"),
        (lambda: Growing(2), r"Received: 'grow' of class Growing: "),
        (lambda: Scaling(3, name="s"), r"Received: 's' of class Scaling, whose own call a copy"),
    ],
    ids=["no configuration", "another network", "no layers", "Sequential", "own call"],
)
def test_what_could_not_be_given_back_is_refused_before_it_is_trained(model, message):
    with pytest.raises(ValueError, match=rf"^Expected models .*{message}"):
        kerasft.make_partially_trainable(model(), {"a": [0]})


def beside_itself(part):
    """A model around another and a layer of it."""
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Add()([part(image), part.get_layer("a")(image)]), name="outer")


def test_a_layer_inside_such_a_model_and_beside_it_is_refused():
    message = (
        r"^Expected layers of one model alone, .* Received: 'a', in 'net' of class Net and in "
        r"'outer'; make the former a keras\.Model"
    )
    with pytest.raises(ValueError, match=message):
        kerasft.make_partially_trainable(beside_itself(net()), {"a": [0]})
    part = net()
    plain = make(lambda: beside_itself(keras.Model(part.input, part.output, name="net")))
    merged = kerasft.merge(kerasft.make_partially_trainable(plain, {"a": [0]}))
    assert weights(merged) == weights(plain)


def test_a_model_with_two_parts_that_share_one_is_refused():
    shared, image = net(), keras.Input((6, 6, 3))
    heads = [Classifier(shared, name=name)(image) for name in ("first", "second")]
    message = r"Received: 'net', in 'first' of class Classifier and in 'second';"
    with pytest.raises(ValueError, match=message):
        kerasft.make_partially_trainable(
            keras.Model(image, layers.Add()(heads)), {"first/net/a": [0]}
        )


@keras.saving.register_keras_serializable("tests")
class Padded(keras.Model):
    def __init__(self, width, **arguments):
        image = keras.Input((6, 6, 3))
        x = layers.Conv2D(width, 3, name="a")(layers.ZeroPadding2D(name="pad")(image))
        super().__init__(image, x, **arguments)
        self.width = width

    get_config = Net.get_config


@keras.saving.register_keras_serializable("tests")
class Topped(keras.Model):
    """On the inputs of another model, and with a layer of it that has no weights."""

    def __init__(self, backbone, **arguments):
        x = backbone.get_layer("pad")(backbone(backbone.input))
        super().__init__(backbone.input, layers.Flatten()(x), **arguments)
        self.backbone = backbone

    get_config = Classifier.get_config
    from_config = classmethod(Classifier.from_config.__func__)


@pytest.mark.parametrize("around", [False, True])
def test_inputs_and_layers_without_weights_may_be_shared(around):
    part = Padded(4, name="part")
    if around:
        x = part.get_layer("pad")(part(part.input))
        model = make(lambda: keras.Model(part.input, layers.Flatten()(x)))
    else:
        model = make(lambda: Topped(part, name="topped"))
    partial = kerasft.make_partially_trainable(model, {"a": [0]})
    merged = kerasft.merge(partial)
    ours, theirs = (
        # Copies have inputs of their own.
        [x for x in classes(copy) if x is not layers.InputLayer]
        for copy in (merged, model)
    )
    assert ours == theirs
    assert weights(merged) == weights(model)
    for copy in (partial, merged):
        assert_same_predictions(copy, model, make_inputs(model))


def test_such_a_model_called_twice_comes_back():
    part, images = Net(4, name="net"), [keras.Input((6, 6, 3)) for _ in range(2)]
    model = make(lambda: keras.Model(images, layers.Add()([part(image) for image in images])))
    merged = kerasft.merge(kerasft.make_partially_trainable(model, {"a": [0]}))
    assert classes(merged) == classes(model)
    assert weights(merged) == weights(model)


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
