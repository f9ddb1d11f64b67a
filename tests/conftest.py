import os

import hypothesis

# Before TensorFlow is imported by any test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The same examples everywhere, and no deadline: the machine may be busy.
hypothesis.settings.register_profile(
    "kerasft", deadline=None, derandomize=True, database=None, max_examples=30
)
hypothesis.settings.load_profile("kerasft")
