import keras

from kerasft.susceptibility.rank_filters import Ranker
from kerasft.whole_number import is_whole


class SusceptibilityAnalyzer(keras.callbacks.Callback):
    """Callback that ranks filters while a model is trained, evaluated or used.

    In `fit` it ranks before training and after every n-th epoch, and writes
    the mean earth mover's distance of each layer into the epoch's logs as
    `emd_<layer>`, so `History`, `CSVLogger` and `TensorBoard` show how
    susceptibility to the distortion falls; epochs in between repeat the last
    value. Put it before the callbacks that are to see it. In `evaluate` and
    `predict` it ranks once, at the end.

    Args:
        clean: Clean images, as for `kerasft.rank_filters`; must be readable
            more than once.
        distorted: Their distorted versions, or a function from a batch of
            clean images to distorted ones.
        layers: Names of `Conv2D` layers. Default: all.
        every: Rank after every this many epochs, at least 1.
        batch_size: Pairs that are run together.

    Attributes:
        rankings: List of `FilterRanking` in the order they were made; after
            `fit`, the first is the one before training.

    Raises:
        ValueError: As `kerasft.rank_filters`, before training starts.
        TypeError: Images that can be read only once.

    Example:

    >>> import keras, kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> noise = kerasft.AdditiveWhiteGaussianNoise(50)
    >>> analyzer = kerasft.SusceptibilityAnalyzer(images[:32], noise, layers=["conv1"])
    >>> history = model.fit(images[:64], labels[:64], verbose=0, callbacks=[analyzer])
    >>> len(analyzer.rankings), sorted(history.history)
    (2, ['emd_conv1', 'loss'])

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2.
    """

    def __init__(self, clean, distorted, layers=None, every=1, batch_size=64):
        super().__init__()
        if not is_whole(every) or every < 1:
            raise ValueError(
                f"Expected every as a whole number of at least 1. Received: {every!r}."
            )
        for name, data in (("clean", clean), ("distorted", distorted)):
            if hasattr(data, "__next__"):
                raise TypeError(
                    f"Expected {name} images that can be read more than once. "
                    f"Received: {type(data).__name__}."
                )
        self.clean = clean
        self.distorted = distorted
        self.layers = layers
        self.every = every
        self.batch_size = batch_size
        self.rankings = []
        self._ranker = None
        self._training = False

    def set_model(self, model):
        super().set_model(model)
        # Keras calls this before all else; a `fit` that was interrupted has
        # not said that it ended.
        self._training = False

    def on_train_begin(self, logs=None):
        self._training = True
        self.rankings = []
        self._rank()

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            self._rank()
        if logs is not None:
            for name, layer in self.rankings[-1].items():
                logs[f"emd_{name}"] = float(layer.mean_distance.mean())

    def on_train_end(self, logs=None):
        self._training = False

    def on_test_end(self, logs=None):
        # `fit` validates through `evaluate`; that is not the user's call.
        if not self._training:
            self._rank()

    def on_predict_end(self, logs=None):
        self._rank()

    def _rank(self):
        model = self.model
        if self._ranker is None or self._ranker.model is not model:
            self._ranker = Ranker(model, self.layers, self.batch_size)
        self.rankings.append(self._ranker.rank(self.clean, self.distorted))
