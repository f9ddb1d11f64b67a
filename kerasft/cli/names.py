def split_names(text):
    """Names from an option such as `a,b,c`; `None` where it was not given.

    Args:
        text: The option's value or `None`.

    Raises:
        ValueError: An empty name.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"Expected names separated by commas. Received: {text!r}.")
    return names
