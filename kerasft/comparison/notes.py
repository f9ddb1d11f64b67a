def notes_on(compared, settings, classes):
    """Sentences about how the numbers of a comparison are obtained.

    Args:
        compared: Dictionary from the name of a distortion to its
            `ComparedImages`, as they were given.
        settings: The `Settings`.
        classes: Number of classes.

    Returns:
        Tuple of sentences.
    """
    notes = []
    images = next(iter(compared.values()))
    if images.labels is None:
        notes.append(
            "The distorted images have no labels: only methods that need none were compared."
        )
        if images.validation_images is None:
            notes.append(
                "The recommendation goes by one half of the labelled test images, the accuracies "
                "are those on the other half."
            )
    else:
        drawn = settings.labels or min(len(i.distorted) for i in compared.values())
        trained = drawn if images.validation_images is not None else drawn - drawn // 5
        if trained < classes:
            labels = f"{drawn} labels" if drawn < classes else f"{trained} of {drawn} labels"
            notes.append(
                f"Warning: {labels} are fewer than the {classes} classes, so that some classes "
                "have no image to train on."
            )
        if images.validation_images is None:
            notes.append(
                "For each seed, a fifth of the labelled distorted images was held out to stop the "
                "training and to choose by; no test image was used for either."
            )
        else:
            notes.append(
                "Separate validation images stopped the training and were chosen by; no test image "
                "was used for either."
            )
    if images.clean_test_images is None:
        notes.append("No clean test images were given, so clean accuracy was not measured.")
    if len(compared) > 1:
        notes.append(f"Accuracies are means over {len(compared)} distortions.")
    return tuple(notes)


def notes_on_runs(runs):
    """Sentences about runs that were made before, with other versions.

    Args:
        runs: `pandas.DataFrame` with the columns of `provenance`.

    Returns:
        Tuple of sentences.
    """
    makers = runs[["kerasft", "keras", "backend"]].drop_duplicates()
    if len(makers) < 2:
        return ()
    texts = (
        f"kerasft {own} with Keras {keras} on {backend}" for own, keras, backend in makers.values
    )
    return (f"The runs are of several versions and may not compare: {'; '.join(texts)}.",)
