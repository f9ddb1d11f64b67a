import keras

from kerasft.datasets.cifar_files import CifarFormat, load_cifar

_FORMAT = CifarFormat(
    name="CIFAR-100",
    folder="cifar-100-python",
    train=("train",),
    test="test",
    labels=b"fine_labels",
    meta="meta",
    names=b"fine_label_names",
)

_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""

# In label order, which is alphabetical.
CLASSES = tuple(_NAMES.split())


def cifar100(path=None):
    """CIFAR-100: 50,000 training and 10,000 test photographs of 100 classes, 32×32 pixels.

    Args:
        path: Where the data lies: the official python archive
            (`cifar-100-python.tar.gz`) or its folder, or a folder or `.tar.gz`
            archive of image files `train/<class>/*` and `test/<class>/*`. A
            smaller set in one of these forms serves too. Default: by
            `keras.datasets`, which downloads it once.

    Returns:
        An `ImageDataset` with the 100 fine labels.

    Raises:
        FileNotFoundError: Nothing at `path`.
        ValueError: Neither form, a damaged archive or file, other classes, or
            no `path` and no network.

    Reference:
        A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.
    """
    return load_cifar(_FORMAT, CLASSES, path, keras.datasets.cifar100.load_data)
