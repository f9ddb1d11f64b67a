import gc
import os

import hypothesis
import pytest

# Before TensorFlow is imported by any test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow has channels-first convolutions on a CPU only with oneDNN, which it turns on by
# itself only on some CPUs.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The same examples everywhere, and no deadline: the machine may be busy.
hypothesis.settings.register_profile(
    "kerasft", deadline=None, derandomize=True, database=None, max_examples=30
)
hypothesis.settings.load_profile("kerasft")


@pytest.fixture(scope="module", autouse=True)
def old_objects_are_not_searched():
    """Every run of a grid collects garbage, among all that tests before it have left."""
    gc.freeze()
    yield
    gc.unfreeze()


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "tensorflow_only(reason): what other Keras backends do not have"
    )
    config.addinivalue_line("markers", "not_on(backend, reason): what one backend does not have")


def pytest_collection_modifyitems(items):
    names = ("tensorflow_only", "not_on")
    marked = [item for item in items if any(map(item.get_closest_marker, names))]
    if not marked:
        return
    import keras

    backend = keras.backend.backend()
    for item in marked:
        reasons = [] if backend == "tensorflow" else item.iter_markers("tensorflow_only")
        reasons = [marker.args[0] for marker in reasons]
        reasons += [m.args[1] for m in item.iter_markers("not_on") if m.args[0] == backend]
        if reasons:
            item.add_marker(pytest.mark.skip(reason=f"{reasons[0]}; this is {backend}"))
