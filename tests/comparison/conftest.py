import fake_methods
import pytest

import kerasft


@pytest.fixture
def sets():
    return fake_methods.sets()


@pytest.fixture
def compare(sets):
    """Compare on the channel model, with some arguments replaced."""

    def call(*methods, **changes):
        model = changes.pop("model", None) or fake_methods.channel_model()
        return kerasft.compare(model, **{"methods": methods, "seeds": 1, **sets, **changes})

    return call
