"""Our own files, changed by others."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kerasft.datasets import load_image_folder
from kerasft.experiments import Baseline, baseline, run_grid
from kerasft.experiments.grid import run_key
from kerasft.experiments.results_file import ResultsFile
from kerasft.susceptibility import FilterRanking, LayerRanking

LAYER = '{"borda_counts": [9, 10], "mean_distance": [0.5, 1.0], "pairs": 1}'


def ranking_text(layers, form='"kerasft ranking 1"'):
    return f'{{"format": {form}, "layers": {layers}}}'


TEXTS = {
    "a layer twice": ranking_text(f'{{"conv": {LAYER}, "conv": {LAYER}}}'),
    "pairs twice": ranking_text('{"conv": ' + LAYER[:-1] + ', "pairs": 2}}'),
    "layers twice": ranking_text(f'{{"conv": {LAYER}}}')[:-1] + f', "layers": {{"b": {LAYER}}}}}',
    "distances as texts": ranking_text('{"conv": ' + LAYER.replace("0.5", '"0.5"') + "}"),
    "a distance that is true": ranking_text('{"conv": ' + LAYER.replace("0.5", "true") + "}"),
    "distances as a text": ranking_text('{"conv": ' + LAYER.replace("[0.5, 1.0]", '"12"') + "}"),
    "distances as an object": ranking_text(
        '{"conv": ' + LAYER.replace("[0.5, 1.0]", '{"0": 1.0}') + "}"
    ),
    "a number of 5000 digits": ranking_text('{"conv": ' + LAYER.replace("9", "9" * 5000) + "}"),
    "1e999": ranking_text('{"conv": ' + LAYER.replace("0.5", "1e999") + "}"),
    "deep in a layer": ranking_text('{"conv": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "a vast format": ranking_text(f'{{"conv": {LAYER}}}', '"' + "x" * 10**6 + '"'),
    "format of a later version": ranking_text(f'{{"conv": {LAYER}}}', '"kerasft ranking 10"'),
    "single quotes": ranking_text(f'{{"conv": {LAYER}}}').replace('"', "'"),
    "two documents": ranking_text(f'{{"conv": {LAYER}}}') * 2,
    "UTF-16 without its mark": ranking_text(f'{{"conv": {LAYER}}}').encode("utf-16-le")[1:],
    "Latin-1": ranking_text(f'{{"größe": {LAYER}}}').encode("latin-1"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_ranking_that_others_changed_is_refused(tmp_path, case):
    content = TEXTS[case]
    content = content if isinstance(content, bytes) else content.encode()
    path = tmp_path / "ranking.json"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^Expected a file in the format 'kerasft ranking 1'\. Received: "
    ) as caught:
        FilterRanking.load(path)
    assert len(str(caught.value)) < 1000
    assert path.read_bytes() == content


def test_the_ranking_that_the_others_depart_from_is_right(tmp_path):
    (tmp_path / "ranking.json").write_text(ranking_text(f'{{"conv": {LAYER}}}'))
    assert FilterRanking.load(tmp_path / "ranking.json")["conv"].order.tolist() == [1, 0]


def test_a_ranking_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^Expected a file that .*Received: .*not exist"):
        FilterRanking.load(tmp_path / "ranking.json")
    with pytest.raises(OSError, match="directory"):
        FilterRanking.load(tmp_path)


# Fuzzing: whatever is in a file, it is read whole or refused in one sentence.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["format", "layers", "conv", "borda_counts", "mean_distance", "pairs", "confidence"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def read_or_refused(expected, read, *arguments, **options):
    """What a reader gives; `None` where it refuses, in one sentence."""
    try:
        return read(*arguments, **options)
    except ValueError as error:
        message = str(error)
    assert message.startswith(f"Expected {expected}")
    assert "Received" in message
    return None


def load_or_refuse(folder, content):
    path = pathlib.Path(folder) / "ranking.json"
    path.write_bytes(content)
    ranking = read_or_refused("a file in the format", FilterRanking.load, path)
    if ranking is None:
        return
    ranking.save(path)
    assert FilterRanking.load(path) == ranking
    for layer in ranking.values():
        assert sorted(layer.order.tolist()) == list(range(len(layer.order)))
        assert np.isfinite(layer.mean_distance).all()
    ranking.select()
    ranking.to_frame()


@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_ranking(scratch, content):
    load_or_refuse(scratch, content)


@given(layers=JSON)
def test_any_layers_as_a_ranking(scratch, layers):
    load_or_refuse(
        scratch, json.dumps({"format": "kerasft ranking 1", "layers": {"conv": layers}}).encode()
    )


@given(item=st.fixed_dictionaries({"borda_counts": JSON, "mean_distance": JSON, "pairs": JSON}))
def test_any_values_in_a_layer_of_a_ranking(scratch, item):
    load_or_refuse(
        scratch, json.dumps({"format": "kerasft ranking 1", "layers": {"conv": item}}).encode()
    )


def mutated(content):
    """Valid content with a few bytes changed, cut out or put in."""
    edit = st.tuples(
        st.integers(0, len(content)), st.integers(0, 4), st.binary(max_size=4) | st.just(b"")
    )

    def apply(edits):
        result = content
        for place, dropped, put in edits:
            result = result[:place] + put + result[place + dropped :]
        return result

    return st.lists(edit, min_size=1, max_size=4).map(apply)


def valid_ranking():
    votes = LayerRanking.from_votes([9, 10, 0], [0.5, 1.0, 1e-9], 1, confidence=0.5)
    single = LayerRanking.from_distances([3.0, 4.5])
    layers = {"conv1": votes.to_json(), "größe": single.to_json()}
    return json.dumps({"format": "kerasft ranking 1", "layers": layers}).encode()


@given(content=mutated(valid_ranking()))
def test_a_valid_ranking_with_bytes_changed(scratch, content):
    load_or_refuse(scratch, content)


RESULTS = b'run,word,number\nab,"x, ""y""\nz",1.5\ncd,,2\n'


@given(content=st.binary(max_size=200) | mutated(RESULTS))
def test_any_bytes_as_results(scratch, content):
    path = scratch / "results.csv"
    path.write_bytes(content)
    rows = read_or_refused("", ResultsFile(path).read)
    if rows is None:
        return
    ResultsFile(path).table()
    assert len(rows.columns) >= 1
    assert rows.map(lambda value: isinstance(value, str)).all(axis=None)


@given(content=st.binary(max_size=300) | mutated(b"\x89PNG\r\n\x1a\n" + bytes(60)))
def test_any_bytes_as_an_image(scratch, content):
    image_or_refusal(scratch, content, "0.png")


def encoded(form):
    import io

    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3)).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "bmp"])
def test_a_valid_image_with_bytes_changed(scratch, form):
    @given(content=mutated(encoded(form)))
    def check(content):
        image_or_refusal(scratch, content, f"0.{form}")

    check()


def image_or_refusal(scratch, content, name):
    folder = scratch / "images" / "class"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    read = read_or_refused(
        "a readable image",
        load_image_folder,
        folder.parent,
        image_size=(4, 4),
        paths=[f"class/{name}"],
    )
    assert read is None or read.images.shape == (1, 4, 4, 3)


LOG = json.dumps(
    {"epochs": [{"loss": 1.0, "val_loss": 0.5}], "dropout": [[1, 2]], "baseline": {}}
).encode()


@given(content=st.binary(max_size=100) | mutated(LOG) | JSON.map(lambda x: json.dumps(x).encode()))
def test_any_bytes_as_the_log_of_a_training(scratch, content):
    path = scratch / "log.json"
    path.write_bytes(content)
    log = read_or_refused("what a training that was stopped", baseline._read_log, path)
    assert log is None or baseline._best(log["epochs"]) <= len(log["epochs"])


class Store:
    digest = "0123456789abcdef"


@pytest.mark.parametrize("damage", ["log", "network"])
def test_a_training_that_was_stopped_and_then_damaged_is_told(tmp_path, damage):
    settings = Baseline("cifar10_cnn", epochs=3)
    name = settings.name(Store())
    (tmp_path / f"{name}.json").write_bytes(b"{" if damage == "log" else LOG)
    network = tmp_path / f".{name}.epoch-1.keras"
    network.write_bytes(b"no network")
    file = network if damage == "network" else tmp_path / f"{name}.json"
    with pytest.raises(ValueError, match=r"remove the file and the training starts anew") as caught:
        baseline.train_baseline(settings, Store(), tmp_path)
    assert str(file) in str(caught.value)
    assert network.read_bytes() == b"no network"


RUNS = {
    "nothing": b"",
    "half": b'{"configuration": {"n": 1}, "ro',
    "a list": b"[]",
    "no rows": b'{"configuration": {"n": 1}}',
    "a number for rows": b'{"configuration": {"n": 1}, "rows": 3, "provenance": {}}',
}


@pytest.mark.parametrize("case", RUNS)
def test_rows_of_a_run_that_are_damaged_are_told_and_kept(tmp_path, case):
    folder = tmp_path / f".x.{run_key({})}.runs"
    folder.mkdir()
    file = folder / "0123456789ab.json"
    file.write_bytes(RUNS[case])
    with pytest.raises(ValueError, match=r"^Expected the rows of a finished run in .*Received: "):
        run_grid(len, [{"n": 1}], {}, tmp_path / "x.csv", description="x")
    assert file.read_bytes() == RUNS[case]


CSV = {
    "more fields than names": b"a,b\n1,2,3\n4,5,6\n",
    "a line with more fields": b"a,b\n1,2\n4,5,6\n",
    "a quote that never ends": b'a,b\n"1,2\n',
    "not UTF-8": b"a,b\n\xff\xfe,2\n",
    "nothing but a newline": b"\n",
    "a line cut off": b"run,b\n1,2\n3",
    "UTF-16": "a,b\n1,2\n".encode("utf-16"),
}


@pytest.mark.parametrize("case", CSV)
def test_results_that_are_no_table_are_refused_and_kept(tmp_path, case):
    path = tmp_path / "x.csv"
    path.write_bytes(CSV[case])
    with pytest.raises(ValueError, match=r"^Expected .*Received: ") as caught:
        ResultsFile(path).read()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == CSV[case]
