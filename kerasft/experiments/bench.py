import dataclasses
import hashlib
import pathlib

from kerasft.experiments.baseline import TUNED_LAYERS
from kerasft.experiments.image_store import ImageStore


@dataclasses.dataclass(frozen=True)
class Bench:
    """What the runs of an experiment share: a trained network and the images.

    Small, so that it travels to worker processes; files are read there.

    Attributes:
        network: Name of the architecture.
        model: Path of its `.keras` file, trained on clean images.
        store: The `ImageStore`.
    """

    network: str
    model: str
    store: ImageStore

    @property
    def layers(self):
        """The layers that the paper tunes, in order."""
        return TUNED_LAYERS[self.network]

    def settings(self):
        """Columns of results that must not be mixed in one file."""
        content = pathlib.Path(self.model).read_bytes()
        return {
            "network": self.network,
            "images_sha256": self.store.digest,
            "model_sha256": hashlib.sha256(content).hexdigest()[:16],
        }
