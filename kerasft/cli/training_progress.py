import contextlib

import keras

from kerasft.progress import start_progress


class TrainingProgress(keras.callbacks.Callback):
    """One line under which epochs go by, on a terminal only.

    Early stopping ends most trainings long before the last epoch, so the bar
    shows the validation accuracy rather than the time left.

    A context manager around the training: of one that an error or an
    interrupt ends Keras tells its callbacks nothing, and a display that goes
    on hides the cursor.
    """

    def __init__(self):
        super().__init__()
        self._shown = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._shown.close()

    def on_train_begin(self, logs=None):
        self._progress = start_progress()
        self._shown.callback(self._progress.stop)
        self._task = self._progress.add_task("Fine-tuning", total=self.params["epochs"])

    def on_epoch_end(self, epoch, logs=None):
        accuracy = (logs or {}).get("val_accuracy")
        text = "" if accuracy is None else f", validation accuracy {accuracy:.1%}"
        self._progress.update(self._task, advance=1, description=f"Fine-tuning{text}")

    def on_train_end(self, logs=None):
        self._shown.close()
