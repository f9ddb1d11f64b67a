import fake_methods
import pytest

import kerasft


@pytest.fixture
def sets():
    """Arguments of `compare`: three fifths of the distorted images are distorted."""
    return {
        "distorted": fake_methods.images(60, 0.6, seed=0),
        "distorted_test": fake_methods.images(50, 0.6, seed=1),
        "clean_test": fake_methods.images(40, 0, seed=2),
    }


@pytest.fixture
def compare(sets):
    """Compare on the channel model, with some arguments replaced."""

    def call(*methods, **changes):
        model = changes.pop("model", None) or fake_methods.channel_model()
        return kerasft.compare(model, **{"methods": methods, "seeds": 1, **sets, **changes})

    return call
