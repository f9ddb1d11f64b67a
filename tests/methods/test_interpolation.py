"""How far weights go from those before training to those after it."""

import keras
import numpy as np
import pytest

from kerasft.evaluation import predict_classes
from kerasft.methods.interpolation import SHARES, interpolate


def two_ends():
    """A model that says 0 to everything, and one that says 1; between them the sign decides."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, name="dense")])
    ends = []
    for bias in ([2.0, 0.0], [0.0, 2.0]):
        end = keras.models.clone_model(model)
        end.set_weights([np.asarray([[0.0, 1.0]]), np.asarray(bias)])
        ends.append(end)
    return ends


@pytest.mark.parametrize("truth", [*SHARES])
def test_interpolation_finds_the_share_that_validation_asks_for(truth):
    before, after = two_ends()
    # At a share s the model says 1 for x over 2 - 4 s.
    images = np.linspace(-3, 3, 121, dtype="float32").reshape(-1, 1) + 0.01
    labels = (images[:, 0] > 2 - 4 * truth).astype(int)
    model = interpolate(before, after, images, labels)
    np.testing.assert_array_equal(predict_classes(model, images), labels)
    np.testing.assert_allclose(model.get_weights()[1], [2 - 2 * truth, 2 * truth])


def test_interpolation_keeps_the_model_before_where_nothing_is_better():
    before, after = two_ends()
    images = np.full((4, 1), 100, "float32")
    model = interpolate(before, after, images, np.ones(4, int))
    for kept, weight in zip(model.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


@pytest.mark.parametrize(
    ("lost", "after", "expected"), [(3, 3, 1), (4, 3, 2 / 8), (4, 8, 7 / 8), (4, 1, 0)]
)
def test_interpolation_goes_no_further_than_kept_images_allow(lost, after, expected):
    ends = two_ends()

    def right_from(eighth):
        # At a share s the model says 1 for x over 2 - 4 s.
        return 2 - 4 * eighth / 8 + 0.25

    # One more image is right after each eighth of the way.
    images = np.asarray([[right_from(eighth)] for eighth in range(1, 9)], "float32")
    kept = np.full((200, 1), -3, "float32")
    kept[:lost] = right_from(after)
    model = interpolate(*ends, images, np.ones(8, int), (kept, np.zeros(200, int)))
    # Three of the two hundred may be lost.
    assert model.get_weights()[1][1] == 2 * expected


def test_interpolation_keeps_the_model_before_a_training_that_diverged():
    before, after = two_ends()
    images, labels = np.full((4, 1), 100, "float32"), np.ones(4, int)
    after.set_weights([np.full_like(weight, np.nan) for weight in after.get_weights()])
    for kept in (None, (images, labels)):
        model = interpolate(before, after, images, labels, kept)
        np.testing.assert_array_equal(model.get_weights()[1], before.get_weights()[1])
    with pytest.raises(ValueError, match="Received: NaN"):
        interpolate(after, before, images, labels)


class Own(keras.Model):
    """Has a constructor of its own, so that a copy only stands in for it."""

    def __init__(self, outputs, **arguments):
        inputs = keras.Input((1,))
        super().__init__(inputs, keras.layers.Dense(outputs, name="dense")(inputs), **arguments)
        self.outputs_of_dense = outputs

    def get_config(self):
        return {"outputs": self.outputs_of_dense, "name": self.name}


def test_interpolation_gives_a_model_of_the_class_of_its_ends():
    before, after = Own(2, name="own"), Own(2, name="own")
    for end, like in zip((before, after), two_ends(), strict=True):
        end.set_weights(like.get_weights())
    # Half of the way says 1 to what is over 0.
    images = np.asarray([[-0.5], [0.5]], "float32")
    model = interpolate(before, after, images, np.asarray([0, 1]))
    assert type(model) is Own
    np.testing.assert_array_equal(model.get_weights()[1], [1, 1])


def test_interpolation_leaves_both_ends_as_they_are():
    ends = two_ends()
    before = [[w.tobytes() for w in end.get_weights()] for end in ends]
    interpolate(*ends, np.zeros((2, 1), "float32"), np.ones(2, int))
    assert [[w.tobytes() for w in end.get_weights()] for end in ends] == before
