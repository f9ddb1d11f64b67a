"""Runs of Figure 5 against the same steps taken by hand, and their summary on made-up rows."""

import io
import json
import math
import types

import keras
import numpy as np
import pandas as pd
import pytest
from eagerly import eagerly

import kerasft
from kerasft.backend import default_jit_compile
from kerasft.experiments import figure5, fine_tuning_run

DISTORTION, SIZE, SEED = "awgn:25", 100, 3
BATCH = 64
PAPER_EPOCHS = fine_tuning_run._EPOCHS

# Of each method the filters and parameters that it trains: conv1 has 32 filters
# of 3·3·1 weights and a bias, conv2 64 of 3·3·32 and a bias.
COUNTS = {
    "most": (8 + 16, 8 * 10 + 16 * 289),
    "least": (8 + 16, 8 * 10 + 16 * 289),
    "random": (8 + 16, 8 * 10 + 16 * 289),
    "all": (32 + 64, 32 * 10 + 64 * 289),
    "first layer whole": (32, 32 * 10),
    "most in first layer": (8, 8 * 10),
    "most in last layer": (16, 16 * 289),
    # And a dense layer of 2·2·64 inputs and 512 outputs, and one of 10.
    "scratch": (None, 32 * 10 + 64 * 289 + 257 * 512 + 513 * 10),
}


@pytest.fixture(scope="module", autouse=True)
def two_epochs():
    with eagerly(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuning_run, "_EPOCHS", 2)
        yield


def _configuration(method, seed=SEED):
    size = 0 if method == "none" else SIZE
    return {"distortion": DISTORTION, "size": size, "method": method, "seed": seed}


def _run(bench, method, seed=SEED):
    """The row of a run and the model that it came to."""
    models = []

    def record(*arguments, **options):
        run = fine_tuning_run.train_run(*arguments, **options)
        models.append(run.model)
        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure5, "train_run", record)
        (row,) = figure5.run(bench, _configuration(method, seed))
    (model,) = models
    return row, model


@pytest.fixture(scope="module")
def runs(bench):
    """Function from a method to its run, which is done once."""
    done = {}

    def run(method):
        if method not in done:
            done[method] = _run(bench, method)
        return done[method]

    return run


@pytest.fixture(scope="module")
def by_hand(bench, data):
    """The images of the run, distorted by hand: rows, clean, distorted, validation."""
    noise = kerasft.AdditiveWhiteGaussianNoise(25, seed=0)(data.train_images)
    rows, held = bench.store.draw(SIZE, SEED), bench.store.validation_rows()
    assert len(held) == 140
    labels = data.train_labels
    return {
        "clean": data.train_images[rows],
        "train": (noise[rows], labels[rows]),
        "validation": (noise[held], labels[held]),
        "test": kerasft.AdditiveWhiteGaussianNoise(25, seed=1000)(data.test_images),
    }


@pytest.fixture(scope="module")
def selections(bench, by_hand):
    """The filters that each method trains."""
    model = keras.saving.load_model(bench.model)
    ranking = kerasft.rank_filters(
        model, by_hand["clean"], by_hand["train"][0], layers=["conv1", "conv2"]
    )
    first, last = (ranking[name].order.tolist() for name in ("conv1", "conv2"))
    return {
        "most": {"conv1": first[:8], "conv2": last[:16]},
        "least": {"conv1": first[-8:], "conv2": last[-16:]},
        "all": {"conv1": first, "conv2": last},
        "first layer whole": {"conv1": first},
        "most in first layer": {"conv1": first[:8]},
        "most in last layer": {"conv2": last[:16]},
    }


def test_the_methods_are_all_those_counted_here():
    assert set(COUNTS) == {*figure5.METHODS, *figure5.FURTHER_METHODS}


@pytest.mark.parametrize("method", COUNTS)
def test_filters_and_parameters_are_those_counted_by_hand(runs, method):
    row, model = runs(method)
    assert (row["filters"], row["trained_parameters"]) == COUNTS[method]
    assert row["epochs"] == 2
    assert row["best_epoch"] in (1, 2)
    assert model.count_params() == COUNTS["scratch"][1]
    # A results file takes it.
    json.dumps(row, allow_nan=False)
    assert set(figure5.VALUES) <= set(row)


@pytest.mark.parametrize("method", ["none", *COUNTS])
def test_accuracies_are_those_of_the_model(runs, data, by_hand, method):
    row, model = runs(method)
    for name, images in (
        ("distorted_accuracy", by_hand["test"]),
        ("clean_accuracy", data.test_images),
    ):
        predicted = np.argmax(model.predict(images, verbose=0), axis=1)
        right = sum(int(p == label) for p, label in zip(predicted, data.test_labels, strict=True))
        assert row[name] == pytest.approx(right / 150)


def _weights(model):
    """The bytes of each weight by layer; of convolutions, of each filter."""
    weights = {}
    for layer in model.layers:
        arrays = layer.get_weights()
        if isinstance(layer, keras.layers.Conv2D):
            for index in range(layer.filters):
                weights[layer.name, index] = [array[..., index].tobytes() for array in arrays]
        elif arrays:
            weights[layer.name, None] = [array.tobytes() for array in arrays]
    return weights


def _changed(bench, model):
    """The layers and filters whose weights are not the baseline's, to the bit."""
    before, after = _weights(keras.saving.load_model(bench.model)), _weights(model)
    assert list(before) == list(after)
    return {key for key in before if before[key] != after[key]}


@pytest.mark.parametrize("method", [m for m in COUNTS if m not in ("random", "scratch")])
def test_only_the_filters_of_the_method_change(bench, runs, selections, method):
    selection = selections[method]
    assert sum(map(len, selection.values())) == COUNTS[method][0]
    changed = _changed(bench, runs(method)[1])
    assert changed <= {(name, index) for name, chosen in selection.items() for index in chosen}
    # A filter that no image activates stays where it is.
    for name, chosen in selection.items():
        assert len([key for key in changed if key[0] == name]) > len(chosen) / 2


def test_random_filters_are_others_for_another_seed(bench, runs):
    first = _changed(bench, runs("random")[1])
    other = _changed(bench, _run(bench, "random", SEED + 1)[1])
    for changed in (first, other):
        names = [name for name, _ in changed]
        assert set(names) == {"conv1", "conv2"}
        assert 4 < names.count("conv1") <= 8 < names.count("conv2") <= 16
    assert len(first | other) > 30


def test_from_scratch_everything_changes(bench, runs):
    assert _changed(bench, runs("scratch")[1]) == set(_weights(runs("scratch")[1]))


def test_before_fine_tuning_nothing_is_trained(bench, runs):
    row, model = runs("none")
    assert set(row) == {"distorted_accuracy", "clean_accuracy"}
    assert _changed(bench, model) == set()


def test_a_run_is_fine_tuning_on_the_drawn_images(bench, runs, by_hand, selections):
    row, model = runs("most")
    tuned = kerasft.fine_tune(
        keras.saving.load_model(bench.model),
        by_hand["train"],
        by_hand["validation"],
        selection=selections["most"],
        epochs=2,
        seed=SEED,
        verbose=0,
    )
    assert _weights(tuned.model) == _weights(model)
    losses = tuned.history.history["val_loss"]
    assert row["best_epoch"] == losses.index(min(losses)) + 1


def test_from_scratch_the_drawn_images_train_a_new_network(runs, by_hand):
    _, model = runs("scratch")
    keras.utils.set_random_seed(SEED)
    new = kerasft.models.cifar10_cnn((8, 8, 1))
    new.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    stopping = keras.callbacks.EarlyStopping(restore_best_weights=True)
    new.fit(
        *by_hand["train"],
        batch_size=BATCH,
        epochs=2,
        validation_data=by_hand["validation"],
        callbacks=[stopping],
        verbose=0,
    )
    assert _weights(model) == _weights(new)


@pytest.mark.parametrize("method", ["most", "scratch"])
def test_training_stops_after_patience_and_keeps_the_best_epoch(bench, monkeypatch, method):
    losses, evaluate, weights = [3.0, 1.0, 2.0, 0.5, 0.7, 0.5, 0.1], keras.Model.evaluate, []

    def claim(model, *arguments, **options):
        """Whatever the validation loss is, to say it is the next of the list."""
        logs = evaluate(model, *arguments, **options)
        weights.append(_weights(kerasft.merge(model) if method == "most" else model))
        return {**logs, "loss": losses[len(weights) - 1]}

    monkeypatch.setattr(keras.Model, "evaluate", claim)
    monkeypatch.setattr(fine_tuning_run, "_EPOCHS", 10)
    monkeypatch.setattr(fine_tuning_run, "_PATIENCE", 2)
    row, model = _run(bench, method)
    assert (row["epochs"], row["best_epoch"]) == (6, 4)
    assert _weights(model) == weights[3]
    assert weights[3] != weights[5]


def test_the_same_configuration_gives_the_same_twice(bench, runs):
    first, model = runs("random")
    # Whatever ran before it.
    keras.utils.set_random_seed(99)
    np.random.default_rng().random()
    again, same = _run(bench, "random")
    assert _weights(same) == _weights(model)
    timed = ("seconds", "seconds_to_best", "seconds_per_step")
    assert {k: v for k, v in again.items() if k not in timed} == {
        k: v for k, v in first.items() if k not in timed
    }


class _Stopped(Exception):
    pass


def test_training_is_as_the_paper_says(bench, monkeypatch):
    options = {}

    def record(*arguments, **given):
        options.update(given)
        raise _Stopped

    monkeypatch.setattr(fine_tuning_run, "_EPOCHS", PAPER_EPOCHS)
    monkeypatch.setattr(fine_tuning_run, "fine_tune", record)
    with pytest.raises(_Stopped):
        figure5.run(bench, _configuration("most"))
    assert (options["epochs"], options["patience"], options["batch_size"]) == (200, 15, BATCH)
    assert "optimizer" not in options
    assert "trainable" not in options


def test_no_more_than_so_many_pairs_vote(bench, by_hand, monkeypatch):
    given = []

    def record(model, clean, distorted, **options):
        given.append((clean, distorted))
        raise _Stopped

    monkeypatch.setattr(fine_tuning_run, "rank_filters", record)
    for pairs in (SIZE, 20):
        monkeypatch.setattr(fine_tuning_run, "RANKING_PAIRS", pairs)
        with pytest.raises(_Stopped):
            figure5.run(bench, _configuration("most"))
    (clean, distorted), (few_clean, few_distorted) = given
    np.testing.assert_array_equal(clean, by_hand["clean"])
    np.testing.assert_array_equal(distorted, by_hand["train"][0])
    # Spread over all images, the same of both.
    spread = [i * 99 // 19 for i in range(20)]
    np.testing.assert_array_equal(few_clean, clean[spread])
    np.testing.assert_array_equal(few_distorted, distorted[spread])


def test_a_single_epoch_has_a_time_per_step(bench, monkeypatch):
    monkeypatch.setattr(fine_tuning_run, "_EPOCHS", 1)
    row, _ = _run(bench, "most in first layer")
    assert (row["epochs"], row["best_epoch"]) == (1, 1)
    assert math.isfinite(row["seconds_per_step"])


def test_the_time_of_a_step_is_that_of_the_epochs_after_the_first():
    clock = fine_tuning_run._EpochClock(steps=4)
    # Validation loss, seconds since the start, seconds of training.
    clock.epochs = [(0.9, 11.0, 10.0), (0.5, 13.0, 1.0), (0.7, 15.0, 2.0), (0.5, 20.0, 4.0)]
    assert clock.seconds_per_step == 2.0 / 4
    assert clock.best == 2
    assert clock.seconds_to_best == 13.0


def test_the_time_of_a_step_ends_when_its_result_is_there(monkeypatch):
    now = [0.0]

    def wait(variable):
        assert variable == "last updated"
        now[0] += 5.0

    monkeypatch.setattr(fine_tuning_run.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(keras.ops, "convert_to_numpy", wait)
    clock = fine_tuning_run._EpochClock(steps=3)
    clock.set_model(types.SimpleNamespace(trainable_variables=["last updated"]))
    clock.on_train_begin()
    clock.on_epoch_begin(0)
    now[0] += 1.0
    clock.on_test_begin()
    clock.on_epoch_end(0, {"val_loss": 0.5})
    assert clock.seconds_per_step == 6.0 / 3


def test_the_grid_does_small_sets_first_and_all_methods_of_a_draw_together():
    grid = figure5.configurations(["blur:1", "awgn:5"], [500, 100], ["most", "scratch"], seeds=2)
    assert [tuple(run.values()) for run in grid[:2]] == [
        ("blur:1", 0, "none", 0),
        ("awgn:5", 0, "none", 0),
    ]
    assert [tuple(run.values()) for run in grid[2:]] == [
        (distortion, size, method, seed)
        for size in (100, 500)
        for distortion in ("blur:1", "awgn:5")
        for seed in (0, 1)
        for method in ("most", "scratch")
    ]
    assert all(list(run) == ["distortion", "size", "method", "seed"] for run in grid)


def test_the_whole_grid_has_no_run_twice():
    every = (*figure5.METHODS, *figure5.FURTHER_METHODS)
    grid = figure5.configurations(methods=every)
    assert len(grid) == 6 + 6 * 8 * 8 * 3
    assert len({json.dumps(run) for run in grid}) == len(grid)
    assert len(figure5.configurations()) == 6 + 6 * 8 * 4 * 3


@pytest.mark.parametrize("method", ["worst", "none", "Most"])
def test_an_unknown_method_is_refused(method):
    with pytest.raises(
        ValueError, match=rf"^Expected methods of most, .*scratch\. Received: '{method}'\.$"
    ):
        figure5.configurations(methods=["most", method])


def _row(distortion, size, method, seed, distorted, clean=0.9, **costs):
    return {
        "distortion": distortion, "size": size, "method": method, "seed": seed,
        "distorted_accuracy": distorted, "clean_accuracy": clean, **costs,
    }  # fmt: skip


def _costs(epoch):
    return {
        "trained_parameters": 80, "filters": 8, "epochs": 20, "best_epoch": epoch,
        "seconds_to_best": 2.0 * epoch, "seconds_per_step": 0.25, "seconds": 9.0,
    }  # fmt: skip


# As they come: not in the order of the seeds, and with gaps.
ROWS = pd.DataFrame(
    [
        _row("blur:1", 0, "none", 0, 0.30),
        _row("awgn:15", 0, "none", 0, 0.40),
        _row("blur:1", 100, "most", 2, 0.7, 0.8, **_costs(6)),
        _row("blur:1", 100, "most", 0, 0.5, 0.6, **_costs(2)),
        _row("blur:1", 100, "most", 1, 0.6, 0.7, **_costs(4)),
        _row("blur:1", 100, "least", 0, 0.4, 0.6, **_costs(2)),
        _row("blur:1", 100, "least", 1, 0.3, 0.7, **_costs(4)),
        _row("blur:1", 100, "least", 2, 0.5, 0.8, **_costs(9)),
        _row("blur:1", 1000, "most", 0, 0.75, 0.8, **_costs(6)),
        _row("blur:1", 1000, "least", 0, 0.70, 0.8, **_costs(6)),
        _row("awgn:15", 100, "random", 0, 0.45, 0.9, **_costs(6)),
        _row("awgn:15", 100, "most", 0, 0.60, 0.9, **_costs(6)),
        _row("awgn:15", 100, "most", 1, 0.70, 0.9, **_costs(6)),
    ]
)
# Student's t for 95% with three values, by the standard error of 0.5, 0.6, 0.7.
HALF = 4.30265 * 0.1 / math.sqrt(3)


def test_the_summary_has_means_and_intervals_by_hand():
    # Large sets that were run first do not come first.
    summary = figure5.summarise(ROWS.sort_values("size", ascending=False, kind="stable"))
    assert list(zip(summary["distortion"], summary["size"], summary["method"], strict=True)) == [
        ("blur:1", 0, "none"),
        ("blur:1", 100, "most"),
        ("blur:1", 100, "least"),
        ("blur:1", 1000, "most"),
        ("blur:1", 1000, "least"),
        ("awgn:15", 0, "none"),
        ("awgn:15", 100, "random"),
        ("awgn:15", 100, "most"),
    ]
    assert summary["seeds"].tolist() == [1, 3, 3, 1, 1, 1, 1, 2]
    most = summary.iloc[1]
    assert most["distorted_accuracy"] == pytest.approx(0.6)
    assert most["distorted_accuracy_low"] == pytest.approx(0.6 - HALF, abs=1e-5)
    assert most["distorted_accuracy_high"] == pytest.approx(0.6 + HALF, abs=1e-5)
    assert most["clean_accuracy"] == pytest.approx(0.7)
    assert most["best_epoch"] == 4
    assert most["seconds_to_best"] == 8
    assert most["seconds_per_step"] == 0.25
    assert most["trained_parameters"] == most["trained_parameters_high"] == 80
    single = summary.iloc[3]
    assert single["distorted_accuracy"] == 0.75
    assert single[["distorted_accuracy_low", "distorted_accuracy_high"]].isna().all()
    before = summary.iloc[0]
    assert before["distorted_accuracy"] == 0.3
    assert before[["trained_parameters", "best_epoch", "seconds_to_best"]].isna().all()


def test_differences_are_of_the_same_seeds():
    table = figure5.differences(ROWS, "most", "least")
    assert table[["distortion", "size", "seeds"]].values.tolist() == [
        ["blur:1", 100, 3],
        ["blur:1", 1000, 1],
    ]
    # 0.5 - 0.4, 0.6 - 0.3 and 0.7 - 0.5: a mean of 0.2, a deviation of 0.1.
    assert table["difference"].tolist() == pytest.approx([0.2, 0.05])
    assert table["difference_low"].iloc[0] == pytest.approx(0.2 - HALF, abs=1e-5)
    assert table["difference_high"].iloc[0] == pytest.approx(0.2 + HALF, abs=1e-5)
    assert table[["difference_low", "difference_high"]].iloc[1].isna().all()
    turned = figure5.differences(ROWS, "least", "most")
    assert turned["difference"].tolist() == pytest.approx([-0.2, -0.05])
    # Of the two seeds of one method only one has the other.
    table = figure5.differences(ROWS, "most", "random")
    assert table[["distortion", "size", "seeds"]].values.tolist() == [["awgn:15", 100, 1]]
    assert table["difference"].tolist() == pytest.approx([0.15])


def test_pairs_are_of_the_same_seeds_in_the_order_of_appearance():
    # Without a run of the first seed, and in another order than the alphabet's.
    rows = ROWS.drop(index=3)
    table = figure5.paired(rows, "most", "least")
    assert table.values.tolist() == [
        ["blur:1", 100, 2, 0.7, 0.5],
        ["blur:1", 100, 1, 0.6, 0.3],
        ["blur:1", 1000, 0, 0.75, 0.70],
    ]
    assert list(table.columns) == ["distortion", "size", "seed", "first", "second"]
    table = figure5.paired(rows, "least", "most", "clean_accuracy")
    assert set(table["second"]) == {0.7, 0.8}
    both = rows.replace("random", "least")
    assert figure5.differences(both, "most", "least")["distortion"].tolist() == [
        "blur:1",
        "blur:1",
        "awgn:15",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("most", "all"), ("all", "most"), ("all", "scratch"), ("random", "least")],
)
def test_differences_of_what_is_not_there_yet_are_none(first, second):
    table = figure5.differences(ROWS, first, second)
    assert list(table.columns) == [
        "distortion", "size", "difference", "difference_low", "difference_high", "seeds",
    ]  # fmt: skip
    assert table.empty


def test_sentences_say_what_differs_by_how_many_points():
    assert figure5.describe(ROWS) == [
        "`most` minus `least` under blur:1, in points: "
        "100 images: +20.0 (-4.8 to +44.8); 1,000 images: +5.0.",
        "`most` minus `random` under awgn:15, in points: 100 images: +15.0.",
    ]


def test_sentences_go_from_small_sets_to_large_ones():
    (sentence,) = figure5.describe(ROWS[ROWS["distortion"] == "blur:1"].iloc[::-1])
    assert sentence.index(" 100 images") < sentence.index(" 1,000 images")


def _from_file(rows):
    """Rows as the file of a grid has them when no others are there."""
    return pd.read_csv(io.StringIO(pd.DataFrame(rows).to_csv(index=False)))


PARTS = {
    "networks before fine-tuning": ROWS[ROWS["method"] == "none"].dropna(axis="columns"),
    "one method": ROWS[ROWS["method"] == "most"],
    "no network before fine-tuning": ROWS[ROWS["method"] != "none"],
    "one seed": ROWS[ROWS["seed"] == 0],
    "one distortion": ROWS[ROWS["distortion"] == "awgn:15"],
    "one row": ROWS.iloc[8:9],
}


@pytest.mark.parametrize("rows", PARTS.values(), ids=PARTS)
def test_results_are_shown_as_they_come(rows):
    rows = _from_file(rows)
    summary = figure5.summarise(rows)
    assert summary["seeds"].sum() == len(rows)
    assert list(summary.columns) == list(figure5.summarise(ROWS).columns)
    assert all(sentence.endswith(".") for sentence in figure5.describe(rows))
    figure5.draw(rows).savefig(io.BytesIO(), format="svg")


def _legend(figure):
    """The colour of each curve that the legend names."""
    (legend,) = figure.legends
    return {
        text.get_text(): handle.get_color()
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }


def test_the_figure_has_a_panel_for_each_distortion_and_a_curve_for_each_method():
    figure = figure5.draw(ROWS)
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == ["blur:1", "awgn:15"]
    colours = _legend(figure)
    assert list(colours) == ["most", "least", "random", "before"]
    assert len(set(colours.values())) == 4
    expected = {
        "blur:1": {
            "most": ([100, 1000], [0.6, 0.75]),
            "least": ([100, 1000], [0.4, 0.7]),
            "before": ([0, 1], [0.3, 0.3]),
        },
        "awgn:15": {
            "most": ([100], [0.65]),
            "random": ([100], [0.45]),
            "before": ([0, 1], [0.4, 0.4]),
        },
    }
    for title, curves in expected.items():
        drawn = {line.get_color(): line for line in panels[title].lines}
        assert set(drawn) == {colours[name] for name in curves}
        for name, (x, y) in curves.items():
            line = drawn[colours[name]]
            np.testing.assert_allclose(line.get_xdata(), x)
            np.testing.assert_allclose(line.get_ydata(), y)


def test_a_method_has_its_colour_whatever_else_is_there():
    whole = _legend(figure5.draw(ROWS))
    for method in ("most", "least", "random"):
        part = _legend(figure5.draw(ROWS[ROWS["method"] == method]))
        assert part == {method: whole[method]}


def test_panels_go_from_weak_to_strong():
    names = ["awgn:25", "blur:10", "blur:2", "awgn:central", "awgn:5", "blur:0.5"]
    figure = figure5.draw(pd.DataFrame([_row(name, 100, "most", 0, 0.5) for name in names]))
    assert [axes.get_title() for axes in figure.axes] == [
        "blur:0.5", "blur:2", "blur:10", "awgn:5", "awgn:central", "awgn:25",
    ]  # fmt: skip
    fewer = figure5.draw(pd.DataFrame([_row(name, 100, "most", 0, 0.5) for name in names[:4]]))
    assert [axes.get_title() for axes in fewer.axes] == [
        "blur:2", "blur:10", "awgn:central", "awgn:25",
    ]  # fmt: skip


def test_the_figure_shades_the_interval():
    blur, _ = figure5.draw(ROWS).axes
    most = blur.collections[0].get_paths()[0].vertices
    assert most[:, 1].min() == pytest.approx(0.6 - HALF, abs=1e-5)
    assert most[:, 1].max() == pytest.approx(0.6 + HALF, abs=1e-5)
