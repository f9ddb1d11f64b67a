"""The recommendation goes by validation images, and by what a method costs."""

import fake_methods
import numpy as np
import pandas as pd
from fake_methods import TURN, fake

from kerasft.comparison.leaderboard import by_seed, leaderboard
from kerasft.comparison.recommend import recommend

# Labels, parameters trained, parameters added.
COSTS = {
    "nothing": (0, 0, 0),
    "free": (0, 40, 0),
    "light": (100, 200, 0),
    "units": (100, 200, 50),
    "heavy": (100, 9000, 0),
}


def _recommend(validation, test=None, clean_images=2000):
    """Recommend from validation accuracies by method, a list of one for each seed."""
    rows = [
        {
            "distortion": "distorted", "method": method, "seed": seed, "status": "done",
            "distorted_accuracy": value if test is None else test[method],
            "clean_accuracy": 0.9, "validation_accuracy": value,
            "labels_needed": COSTS[method][0], "trained_parameters": COSTS[method][1],
            "added_parameters": COSTS[method][2], "trained_share": 0.1, "layers_share": 0.1,
            "epochs": 5, "seconds": 1.0, "peak_memory_mib": 3.0,
        }
        for method, values in validation.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    seeds = by_seed(pd.DataFrame(rows))
    return recommend(seeds, leaderboard(seeds), clean_images)


def _one_standard_error(validation):
    """The rule, slowly."""
    means = {method: sum(values) / len(values) for method, values in validation.items()}
    top = max(means, key=means.get)
    alike = []
    for method, values in validation.items():
        differences = [a - b for a, b in zip(validation[top], values, strict=True)]
        mean = sum(differences) / len(differences)
        variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
        if mean <= (variance / len(differences)) ** 0.5:
            alike.append(method)
    return min(alike, key=lambda method: COSTS[method])


def test_the_highest_is_recommended_where_it_is_clearly_so():
    best, text = _recommend({"nothing": [0.4, 0.42], "free": [0.5, 0.5], "heavy": [0.8, 0.82]})
    assert best == "heavy"
    assert text.startswith("Use “heavy”: its accuracy on distorted validation images, 81.0%, is")
    assert "the highest" in text
    assert "81.0% (41.0% before) on distorted and 90.0% (90.0% before) on 2,000 clean ones." in text


def test_of_those_within_one_standard_error_the_cheapest_is_recommended():
    best, text = _recommend({"free": [0.70, 0.80, 0.72], "heavy": [0.76, 0.76, 0.73]})
    assert best == "free"
    assert "within one standard error of the highest (75.0%, “heavy”)" in text
    assert "fewer labels (0 instead of 100)" in text
    best, text = _recommend({"light": [0.70, 0.80, 0.72], "heavy": [0.76, 0.76, 0.73]})
    assert best == "light"
    assert "fewer trained parameters (200 instead of 9,000)" in text
    best, text = _recommend({"light": [0.70, 0.80, 0.72], "units": [0.76, 0.76, 0.73]})
    assert best == "light"
    assert "fewer added parameters (0 instead of 50)" in text


def test_two_seeds_have_a_standard_error_and_one_has_none():
    assert _recommend({"free": [0.70, 0.80], "heavy": [0.76, 0.76]})[0] == "free"
    assert _recommend({"free": [0.75], "heavy": [0.76]})[0] == "heavy"


def test_the_rule_is_that_of_a_slow_reference():
    generator = np.random.default_rng(0)
    chosen = []
    for _ in range(60):
        validation = {
            method: list(0.6 + 0.02 * rank + generator.normal(0, 0.03, 3))
            for rank, method in enumerate(COSTS)
        }
        chosen.append(_recommend(validation)[0])
        assert chosen[-1] == _one_standard_error(validation)
    assert set(chosen) == set(COSTS)


def test_one_seed_has_no_standard_error():
    assert _recommend({"free": [0.79], "heavy": [0.80]})[0] == "heavy"
    assert _recommend({"heavy": [0.80], "light": [0.80]})[0] == "light"


def test_where_nothing_helps_the_model_is_kept():
    best, text = _recommend({"heavy": [0.5, 0.5], "nothing": [0.8, 0.8]})
    assert best == "nothing"
    assert text.startswith("Keep the model as it is")
    assert "before" not in text


def test_test_images_have_no_say():
    validation = {"nothing": [0.4, 0.4], "light": [0.6, 0.6], "heavy": [0.5, 0.5]}
    best, text = _recommend(validation, {"nothing": 0.9, "light": 0.1, "heavy": 0.95})
    assert best == "light"
    assert "10.0% (90.0% before) on distorted" in text


def test_a_few_clean_images_are_counted_beside_their_accuracy():
    for number, text in ((3, "3 clean ones"), (1, "1 clean one")):
        assert f"90.0% on {text}." in _recommend({"heavy": [0.5, 0.5]}, clean_images=number)[1]


def test_other_test_labels_change_no_choice(compare, sets):
    pixels, _ = sets["distorted_test"]
    # By the test images, leaving the model as it is would be best.
    misleading = pixels[:, 0, 0].argmax(-1)
    comparison = compare(
        fake("nothing"), fake("turn", TURN, trained=9), distorted_test=(pixels, misleading)
    )
    assert comparison.leaderboard["method"].tolist() == ["nothing", "turn"]
    assert comparison.best == "turn"


def test_the_best_is_recommended_from_real_runs(compare, sets):
    comparison = compare(fake("nothing"), fake("turn", TURN, trained=9, needs_labels=True))
    assert comparison.best == "turn"
    assert "“turn”" in comparison.recommendation
    assert comparison.recommendation.endswith(f"on {len(sets['clean_test'][1]):,} clean ones.")
    mild = {
        "distorted": fake_methods.images(60, 0.2),
        "distorted_test": fake_methods.images(50, 0.2, seed=1),
    }
    assert compare(fake("nothing"), fake("turn", TURN, trained=9), **mild).best == "nothing"
