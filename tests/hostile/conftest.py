"""A small model, two folders of images, and what every refusal must be like."""

import shutil
import types

import numpy as np
import pytest
from command_runner import kerasft  # noqa: F401, a fixture
from hostile_material import contents, small_model

from kerasft.datasets import save_image_folder


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """A folder with `model.keras`, `clean` and `noisy`: two classes, six images each."""
    root = tmp_path_factory.mktemp("material")
    generator = np.random.default_rng(0)
    clean = generator.integers(0, 200, (12, 8, 8, 3)).astype("uint8")
    paths = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(6)]
    save_image_folder(root / "clean", clean, paths)
    save_image_folder(root / "noisy", clean + 20, paths)
    small_model().save(root / "model.keras")
    return root


@pytest.fixture
def box(material, tmp_path):
    """Copies of the material to break, and `out`, which does not exist."""
    for name in ("clean", "noisy"):
        shutil.copytree(material / name, tmp_path / name)
    shutil.copy(material / "model.keras", tmp_path)
    return types.SimpleNamespace(
        path=tmp_path,
        model=tmp_path / "model.keras",
        clean=tmp_path / "clean",
        noisy=tmp_path / "noisy",
        out=tmp_path / "out",
    )


@pytest.fixture
def refused(kerasft, tmp_path):  # noqa: F811, the fixture, not the import again
    """Run a command that must fail with one line and leave every file as it was."""

    def run(arguments, message):
        before = contents(tmp_path)
        status, out, err = kerasft(*arguments)
        assert (status, out) == (2, ""), err
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        assert message in err
        # A line that can be read, not a dump.
        assert len(err) < 1500
        assert contents(tmp_path) == before

    return run
