import keras


def seed_keras(seed):
    """Seed Keras, NumPy and Python by an integer of NumPy too, which Keras refuses.

    Args:
        seed: A whole number from 0 to 2³²−1.
    """
    keras.utils.set_random_seed(int(seed))
