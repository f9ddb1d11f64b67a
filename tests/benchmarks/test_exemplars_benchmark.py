"""The benchmark of exemplars compares engines within turns and draws what it measured."""

import exemplars
import pandas as pd
import pytest
from scaling_chart import write_chart


def runs_of(index):
    return pd.DataFrame(
        {
            "turn": turn,
            "task": "bits, hamming",
            "engine": engine,
            "images": size,
            "seconds": seconds * size * (1 + turn),
            "peak_mib": 0.0,
            "index": index[engine],
        }
        for turn in range(3)
        for size in (250, 500)
        for engine, seconds in (("kerasft", 0.1), ("pairwise_distances", 0.4))
        if (engine, size) != ("pairwise_distances", 500)
    )


def test_engines_that_find_different_exemplars_stop_it():
    exemplars.check(runs_of({"kerasft": 3, "pairwise_distances": 3}))
    with pytest.raises(SystemExit, match="differ"):
        exemplars.check(runs_of({"kerasft": 3, "pairwise_distances": 4}))


def test_rival_is_compared_where_it_was_run():
    table = exemplars.summarise(runs_of({"kerasft": 3, "pairwise_distances": 3}))
    ours = table[table["engine"] == "kerasft"].set_index("images")
    assert ours.loc[250, ["times_faster", "low", "high"]].tolist() == [4, 4, 4]
    assert pd.isna(ours.loc[500, "times_faster"])
    assert ours.loc[250, "seconds"] == pytest.approx(50)


@pytest.mark.parametrize("task", ["pixels, euclidean", "bits, hamming"])
def test_every_measurement_gives_time_memory_and_index(task):
    found = exemplars.measure(task, "kerasft", 40)
    assert found["seconds"] >= 0
    assert found["peak_mib"] >= 0
    assert 0 <= found["index"] < 40


def test_chart_has_time_and_memory_of_every_engine(tmp_path):
    table = exemplars.summarise(runs_of({"kerasft": 3, "pairwise_distances": 3}))
    write_chart(table, tmp_path / "chart.svg", panel="task", line="engine", x="images")
    drawn = (tmp_path / "chart.svg").read_text()
    assert drawn.startswith("<?xml")
    for text in ("kerasft", "pairwise_distances", "bits, hamming: seconds", "MiB beyond"):
        assert text in drawn
