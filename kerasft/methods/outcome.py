import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a method made of a model.

    Attributes:
        model: A new `keras.Model` that takes and gives what the source does.
        trained_parameters: Number of parameters that were trained; statistics
            of batch normalizations are none.
        added_parameters: Number of parameters that the model has more than
            its source, and needs for every prediction.
        epochs: Number of epochs that were trained, 0 for methods without.
    """

    model: keras.Model
    trained_parameters: int = 0
    added_parameters: int = 0
    epochs: int = 0
