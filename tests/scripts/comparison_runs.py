"""Runs as scripts/compare_methods.py leaves them, without any training."""

import pandas as pd


def make_runs(accuracies, distortions=("awgn:15",), labels=500):
    """A row for each distortion, method and seed; `None` stands for a method left out."""
    return pd.DataFrame(
        {
            "distortion": distortion,
            "labelled_images": labels,
            "method": method,
            "seed": seed,
            "status": "done" if value is not None else "left out: It has no convolution.",
            "distorted_accuracy": value,
            "clean_accuracy": 0.9,
            "trained_parameters": 10,
            "layers_share": 0.25,
            "added_parameters": 0,
            "seconds": 1.0,
        }
        for distortion in distortions
        for method, values in accuracies.items()
        for seed, value in enumerate(values)
    )
