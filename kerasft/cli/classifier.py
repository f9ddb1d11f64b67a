"""The model and the images that a command works with."""

import dataclasses
import pathlib
import zipfile

import keras
import numpy as np

from kerasft.datasets import list_image_folder, load_image_folder
from kerasft.datasets.image_folder import read_images
from kerasft.evaluation import predict_classes
from kerasft.frozen_prefix import free_memory
from kerasft.susceptibility.model_input import validate_one_tensor_out
from kerasft.training_checks import validate_weights

# Pixel ranges by their names on the command line: offset and scale of 0–255.
_PIXELS = {"0..255": (0.0, 1.0), "0..1": (0.0, 1 / 255), "-1..1": (-1.0, 2 / 255)}


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model that takes one image and gives one score per class.

    Attributes:
        model: The `keras.Model`.
        pixels: Pixel range that it takes, `"0..255"`, `"0..1"` or `"-1..1"`.
        image_size: `(height, width)`, or `None` where it takes any.
        channels: 1, 3 or 4.
        classes: Number of classes.
    """

    model: keras.Model
    pixels: str
    image_size: tuple[int, int] | None
    channels: int
    classes: int

    @classmethod
    def load(cls, path, pixels="0..255"):
        """Read a model file and look at what it takes and gives.

        Args:
            path: A `.keras`, `.h5` or `.hdf5` file.
            pixels: Pixel range that the model takes.

        Raises:
            FileNotFoundError: No such file.
            ValueError: Not a Keras model, one that needs unsafe
                deserialization, or not an image classifier.
        """
        model = _load_model(pathlib.Path(path))
        inputs = getattr(model, "inputs", None) or []
        outputs = getattr(model, "outputs", None) or []
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4:
            raise ValueError(
                "Expected a model with one image as input and one output. Received: "
                f"{path} with inputs {[tuple(x.shape) for x in inputs]} and outputs "
                f"{[tuple(x.shape) for x in outputs]}."
            )
        if inputs[0].dtype == "string":
            raise ValueError(f"Expected a model that takes numbers. Received: {path} with texts.")
        validate_one_tensor_out(model, path)
        validate_weights(model, path)
        _, height, width, channels = inputs[0].shape
        output = tuple(outputs[0].shape)
        if channels not in (1, 3, 4, None) or len(output) != 2 or output[1] is None:
            raise ValueError(
                "Expected a model from images (height, width, 1, 3 or 4 channels) to scores "
                f"(classes,). Received: {path}, from {tuple(inputs[0].shape[1:])} to {output[1:]}."
            )
        size = None if None in (height, width) else (height, width)
        return cls(model, pixels, size, channels or 3, max(output[1], 2))

    def read(self, folder, classes=None, paths=None):
        """Read an image folder in the size and channels that the model takes.

        Args:
            folder: Path of the folder.
            classes: Names of the class folders in output order.
            paths: Read only these.

        Returns:
            A `kerasft.datasets.ImageFolder`.

        Raises:
            ValueError: As `kerasft.datasets.load_image_folder`, or a number
                of classes that does not fit the model.
        """
        # Before images are decoded.
        self.check_classes(folder, list_image_folder(folder, classes)[0])
        return load_image_folder(
            folder,
            image_size=self.image_size,
            channels=self.channels,
            classes=classes,
            paths=paths,
        )

    def read_unlabelled(self, folder, files):
        """Read images without labels in the size and channels that the model takes.

        Args:
            folder: Path of the folder.
            files: Names of the files in it.

        Returns:
            `(images, height, width, channels)`, uint8.
        """
        return read_images(pathlib.Path(folder), files, self.channels, self.image_size)

    def check_classes(self, folder, names):
        """Refuse a folder whose classes are not as many as the model's outputs."""
        if len(names) != self.classes:
            raise ValueError(
                f"Expected {self.classes} class folders, as many as the model has classes. "
                f"Received: {len(names)} in {folder} ({', '.join(names[:12])}"
                f"{', …' if len(names) > 12 else ''})."
            )

    def to_pixels(self, images):
        """Images 0–255 as float32 in the range that the model takes."""
        return _scale(images, self.pixels)

    def model_of_bytes(self):
        """The model for images 0–255, whatever range its own are in."""
        if self.pixels == "0..255":
            return self.model
        offset, scale = _PIXELS[self.pixels]
        return keras.Sequential(
            [
                keras.Input(self.model.inputs[0].shape[1:]),
                keras.layers.Rescaling(scale, offset),
                self.model,
            ]
        )

    def predict(self, images):
        """Classes of images 0–255, `(images,)` int64."""
        return predict_classes(self.model, self.to_pixels(images))

    def check_pixels(self, images, labels):
        """Refuse a pixel range with which the model evidently sees nothing.

        Args:
            images: Clean images, uint8.
            labels: Their labels.

        Raises:
            ValueError: The model is right far more often with another range.
        """
        chosen = np.linspace(0, len(images) - 1, min(len(images), 256)).astype(int)
        accuracy = {}
        for pixels in _PIXELS:
            predicted = predict_classes(self.model, _scale(images[chosen], pixels))
            accuracy[pixels] = float(np.mean(predicted == labels[chosen]))
        best = max(_PIXELS, key=lambda pixels: accuracy[pixels])
        # Twice as often, a fifth of the images more, and than by chance: another range, not
        # classes in another order.
        chance = 1 / self.classes
        if accuracy[best] > max(
            2 * accuracy[self.pixels], accuracy[self.pixels] + 0.2, chance + 0.2
        ):
            raise ValueError(
                f"Expected images in the range that the model takes, it seems --pixels {best} "
                f"(accuracy {accuracy[best]:.0%} on {len(chosen)} clean images). "
                f"Received: --pixels {self.pixels} (accuracy {accuracy[self.pixels]:.0%})."
            )


def _scale(images, pixels):
    offset, scale = _PIXELS[pixels]
    return images.astype("float32") * np.float32(scale) + np.float32(offset)


def _load_model(path):
    if not path.exists():
        raise FileNotFoundError(
            f"Expected a Keras model file. Received: {path}, which does not exist."
        )
    if path.suffix not in (".keras", ".h5", ".hdf5") or not path.is_file():
        raise ValueError(f"Expected a .keras, .h5 or .hdf5 file. Received: {path}.")
    try:
        # Of a file that may not be read Keras says that it is not there.
        path.open("rb").close()
        # Of one that is cut off too.
        if path.suffix == ".keras" and not zipfile.is_zipfile(path):
            raise ValueError("it is no whole zip archive; it may be cut off")
        _refuse_zip_bomb(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras lets through whatever its readers raise.
        text = " ".join(str(error).split())
        if "unsafe" in text or "safe_mode" in text:
            text = "it holds Python code (a Lambda layer), which is not run from files"
        # Keras prints the layer's whole configuration before it says what the matter was.
        reason = text.rpartition("Exception encountered: ")[2]
        raise ValueError(
            f"Expected a Keras model file. Received: {path} ({reason[:300]})."
        ) from error


def _refuse_zip_bomb(path):
    """Refuse an archive that unpacks to more than there is memory for."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # Nothing beyond the size that an archive states is ever unpacked.
            size = sum(item.file_size for item in archive.infolist())
        if size > free_memory():
            raise ValueError(f"it unpacks to {size / 2**30:,.0f} GiB, more than there is memory")
