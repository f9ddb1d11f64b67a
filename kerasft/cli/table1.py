import hashlib
import math
import pathlib
import re

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kerasft.cli.classifier import Classifier
from kerasft.cli.convolutions import check_convolutions
from kerasft.cli.input_folders import check_output_apart
from kerasft.cli.names import split_names
from kerasft.cli.output import print_line
from kerasft.cli.output_folder import check_output_folder
from kerasft.datasets import list_image_folder
from kerasft.distortions import parse_distortion
from kerasft.experiments import provenance, summarise_table1, table1
from kerasft.experiments.results_file import ResultsFile, typed
from kerasft.experiments.table1 import CONFIGURATIONS, KEYS
from kerasft.experiments.table1_outputs import table1_outputs, write_table1_outputs
from kerasft.files import locked, write_whole
from kerasft.susceptibility.rank_filters import Ranker


def run(model, data, distortion, layers, subsets, size, pixels, classes, out):
    """The command `kerasft reproduce table1`; arguments are its options."""
    effect = parse_distortion(distortion)
    # So that one distortion has one name in results.
    distortion = effect.short_form
    out = pathlib.Path(out)
    check_output_folder(out, force=True)
    check_output_apart(out, data)
    classifier = Classifier.load(model, pixels)
    network, wanted = classifier.model_of_bytes(), split_names(layers)
    check_convolutions(network, model, wanted)
    ranker = Ranker(network, wanted)
    names = split_names(classes)
    # Before any image is read.
    found = len(list_image_folder(data, names)[1])
    if found < 2 * size:
        raise ValueError(
            f"Expected at least {2 * size} images for two sets of --size {size}. "
            f"Received: {found} in {data}."
        )
    folder = classifier.read(data, names)
    classifier.check_pixels(folder.images, folder.labels)
    # A model may be called anything.
    name = re.sub(r"[^\w-]+", "_", classifier.model.name)
    file = out / f"table1-{name}-{distortion.replace(':', '')}.csv"
    check_output_folder(out, True, [file.name, *(f.name for f in table1_outputs(file))])
    settings = {
        "distortion": distortion,
        "size": size,
        "pixels": pixels,
        "model_sha256": _digest(pathlib.Path(model).read_bytes()),
        "images_sha256": _digest(folder.images.tobytes()),
    }
    # From reading on: what another process adds in between would be written over.
    with locked(file):
        rows = _read_rows(file, settings, ranker.layers)
        done = set() if rows is None else set(rows["subset"])
        todo = [subset for subset in range(subsets) if subset not in done]
        if todo:
            reference = ranker.rank(folder.images, effect)
        for subset in todo:
            new = table1(network, folder.images, effect, reference, subset, size=size)
            new = new.assign(**settings, **provenance())
            rows = pd.concat([rows, new])
            write_whole(file, rows.to_csv(index=False).encode())
        files = write_table1_outputs(file)
    _print(summarise_table1(rows), distortion, [file, *files])


def _digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


def _read_rows(file, settings, layers):
    """Rows of an earlier run, `None` where there was none."""
    texts = ResultsFile(file).read()
    if texts is None:
        return None
    wanted = {(*configuration, layer) for configuration in CONFIGURATIONS for layer in layers}
    try:
        rows = typed(texts)
        numbers = ["subset", "matches", "selected", "chance"]
        empty = (texts[[*KEYS, *numbers, *settings]] == "").any(axis=None)
        if empty or rows[numbers].isna().any(axis=None):
            raise ValueError("empty fields")
        drawn = {
            subset: sorted(rows.loc[rows["subset"] == subset, list(KEYS)].itertuples(index=False))
            for subset in rows["subset"].unique().tolist()
        }
        same = all((rows[key] == value).all() for key, value in settings.items())
    except (ValueError, KeyError) as error:
        raise ValueError(f"Expected the results of table1 in {file}. Received: {error}.") from error
    if rows.empty:
        # All draws were removed, as an error has advised.
        return None
    if same and set(rows["layer"]) == set(layers):
        damaged = [subset for subset, found in drawn.items() if found != sorted(wanted)]
        if damaged:
            raise ValueError(
                f"Expected {len(wanted)} rows for each draw in {file}. Received: others for draw "
                f"{damaged[0]}; remove all rows of draw {damaged[0]} (column subset) and it is "
                "repeated, or give another --out."
            )
        return rows
    raise ValueError(
        f"Expected results with {settings} and layers {', '.join(layers)} in {file}. Received: "
        "those of other settings; give another --out."
    )


def _print(summary, distortion, files):
    table = Table(title=f"Matches with the paired ranking, {distortion}", title_justify="left")
    table.add_column("features, metric")
    for column in ("exemplars", "layer", "matches", "95% interval", "chance"):
        table.add_column(column, justify="right")
    for row in summary.itertuples():
        table.add_row(
            f"{row.features}, {row.metric}",
            str(row.exemplars),
            escape(row.layer),
            f"{row.matches:.1f} of {row.selected}",
            "" if math.isnan(row.low) else f"{row.low:.1f} – {row.high:.1f}",
            f"{row.chance:.1f}",
        )
    Console().print(table)
    print_line(f"Wrote {', '.join(map(str, files))}")
