"""Objects of earlier tests, kept from the garbage collector."""

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def old_objects_are_not_searched():
    """Every run of a grid collects garbage, among all that tests before it have left."""
    gc.freeze()
    yield
    gc.unfreeze()
