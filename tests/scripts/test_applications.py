"""Every family in keras.applications is converted, trained, merged, saved and opened.

`scripts/model_families.py` does it and writes the table of the documentation;
these tests call the same function and compare with the table.
"""

import pathlib
import pkgutil

import keras
import model_families
import pandas as pd
import pytest

FILE = pathlib.Path(__file__).parents[2] / "docs" / "results" / "applications.csv"
# It has depthwise convolutions and skip connections.
QUICK = ["MobileNetV2"]


@pytest.fixture(scope="module")
def written():
    return pd.read_csv(FILE, keep_default_na=False).set_index("family", drop=False)


def assert_holds(names, written):
    table = model_families.check_families(names)
    assert table["family"].tolist() == list(names)
    for row in table.to_dict("records"):
        assert {check: row[check] for check in model_families.CHECKS} == dict.fromkeys(
            model_families.CHECKS, "yes"
        )
        # The documentation shows what is found here.
        assert row == {key: written.loc[row["family"], key] for key in row}


def test_families_are_converted_trained_merged_and_opened_without_kerasft(written):
    assert_holds(QUICK, written)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in model_families.FAMILIES if name not in QUICK])
def test_a_family_is_converted_trained_merged_and_opened_without_kerasft(name, written):
    assert_holds([name], written)


def test_the_table_has_every_family_of_this_keras(written):
    modules = {module.name for module in pkgutil.iter_modules(keras.applications.__path__)}
    covered = set()
    for model_name, _, _ in model_families.FAMILIES.values():
        module = getattr(keras.applications, model_name).__module__
        covered.add(module.rpartition(".")[2])
    # `resnet50` is another name for `resnet`, and VGG16 and VGG19 are one family.
    assert modules - covered <= {"imagenet_utils", "resnet50", "vgg19"}
    assert written["family"].tolist() == list(model_families.FAMILIES)
    assert written[list(model_families.CHECKS)].eq("yes").all(axis=None)


def test_an_unknown_family_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["model_families.py", "VGG", "ResNext"])
    with pytest.raises(SystemExit) as caught:
        model_families.main()
    assert caught.value.code == 2
    assert "Received: ['ResNext']" in capsys.readouterr().err
