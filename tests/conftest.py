import os

import hypothesis
import pytest

# Before TensorFlow is imported by any test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The same examples everywhere, and no deadline: the machine may be busy.
hypothesis.settings.register_profile(
    "kerasft", deadline=None, derandomize=True, database=None, max_examples=30
)
hypothesis.settings.load_profile("kerasft")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "tensorflow_only(reason): what other Keras backends do not have"
    )


def pytest_collection_modifyitems(items):
    marked = [(item, item.get_closest_marker("tensorflow_only")) for item in items]
    marked = [(item, marker.args[0]) for item, marker in marked if marker is not None]
    if not marked:
        return
    import keras

    backend = keras.backend.backend()
    for item, reason in marked:
        if backend != "tensorflow":
            item.add_marker(pytest.mark.skip(reason=f"{reason}; this is {backend}"))
