import math
import time

import numpy as np
import pytest

from kerasft.comparison.peak_memory import PeakMemory


@pytest.fixture(autouse=True)
def _only_where_it_is_told():
    with PeakMemory() as memory:
        pass
    if math.isnan(memory.mib):
        pytest.skip("the system does not tell")


def test_memory_that_is_given_back_before_the_end_counts():
    with PeakMemory() as memory:
        held = np.ones(2**26, "uint8")
        time.sleep(0.1)
        del held
        time.sleep(0.05)
    assert 60 <= memory.mib < 200


def test_a_block_that_holds_nothing_costs_nothing():
    with PeakMemory() as memory:
        time.sleep(0.05)
    assert 0 <= memory.mib < 30
