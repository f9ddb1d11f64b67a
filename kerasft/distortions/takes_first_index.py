import inspect


def takes_first_index(distortion):
    """Whether a distortion wants to know the index of a batch's first image.

    Args:
        distortion: A function from images to images.

    Example:

    >>> import kerasft
    >>> from kerasft.distortions import takes_first_index
    >>> takes_first_index(kerasft.ShotNoise(60)), takes_first_index(kerasft.GaussianBlur(1))
    (True, False)
    """
    try:
        return "first_index" in inspect.signature(distortion).parameters
    except ValueError:  # Compiled functions may have no signature.
        return False
