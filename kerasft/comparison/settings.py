import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all runs of a comparison share, besides the model and the images.

    Attributes:
        labels: Number of labelled images to draw for each seed, or `None`:
            all.
        paired: Whether clean images are the twins of the distorted ones.
        layers: Names of the convolutions that are tuned, or `None`: all.
        epochs, patience, batch_size: Of the training.
        learning_rate: Of the training, or `"search"`.
    """

    labels: int | None
    paired: bool
    layers: tuple[str, ...] | None
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float | str

    def columns(self):
        """Columns of results that must not be mixed in one file."""
        rate = self.learning_rate
        return {
            "labelled_images": "all" if self.labels is None else int(self.labels),
            "paired": self.paired,
            "layers": "all" if self.layers is None else ", ".join(self.layers),
            "epochs_at_most": int(self.epochs),
            "patience": int(self.patience),
            "batch_size": int(self.batch_size),
            "learning_rate_given": rate if isinstance(rate, str) else float(rate),
        }
