import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable

import keras
import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` returns.

    Attributes:
        runs: DataFrame, a row for each distortion, method and seed: `status`
            (`"done"`, or why the method was left out), the accuracies on
            distorted and clean test images and on distorted validation images,
            `labels_needed` (0, or the labels of distorted images to train on
            and to stop by), `trained_parameters`, `trained_share` (of the
            model's parameters), `layers_share` (of the parameters of the
            convolutions that may be tuned), `added_parameters`,
            `learning_rate`, `epochs`, `seconds` (the search for a learning
            rate included) and `peak_memory_mib` (the process's memory beyond
            what it held before; rough); and the settings and versions.
        leaderboard: DataFrame, a row for each method that could be used,
            sorted by accuracy on distorted test images: means over the seeds,
            and 95% intervals (`…_low`, `…_high`) of the accuracies.
        left_out: Dictionary from the name of a method that could not be used
            to the reason.
        best: Name of the recommended method; `None` where none could be used.
        recommendation: What to use and why, in plain words.
        notes: Sentences about how the numbers were obtained.
        retrain: Function without arguments that makes the model of the best
            run again; see `best_model`.
    """

    runs: pd.DataFrame
    leaderboard: pd.DataFrame
    left_out: dict[str, str]
    best: str | None
    recommendation: str
    notes: tuple[str, ...]
    retrain: Callable[[], keras.Model] = dataclasses.field(repr=False)

    def best_model(self):
        """The model that the recommended method makes.

        Models of runs are not kept, which could be dozens: of the seeds, the
        one with the highest accuracy on validation images is run again. On the
        same machine it gives the same model, up to rounding.

        Returns:
            A `keras.Model`.

        Raises:
            ValueError: No method could be used, or several distortions were
                compared, each with a model of its own.
        """
        return self.retrain()

    def save_best(self, path):
        """Write the model of `best_model` to a file, whole.

        Args:
            path: A path that ends in `.keras`; an existing file is replaced.

        Raises:
            ValueError: Another ending, a folder that does not exist, a folder
                in the place of the file, or as `best_model`.
        """
        path = pathlib.Path(path)
        if path.suffix != ".keras":
            raise ValueError(f"Expected a path that ends in .keras. Received: {path}.")
        if not path.parent.is_dir():
            raise ValueError(f"Expected a path in a folder that exists. Received: {path}.")
        if path.is_dir() and not path.is_symlink():
            raise ValueError(f"Expected a path of a file. Received: {path}, which is a folder.")
        model = self.best_model()
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            file = pathlib.Path(folder, path.name)
            model.save(file)
            os.replace(file, path)
