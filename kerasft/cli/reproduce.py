import pathlib

import pandas as pd
from rich.console import Console
from rich.table import Table

from kerasft.cli.classifier import Classifier
from kerasft.cli.names import split_names
from kerasft.distortions import parse_distortion
from kerasft.experiments import summarise_table1, table1
from kerasft.files import write_whole
from kerasft.susceptibility import rank_filters


def run(model, data, distortion, layers, subsets, size, out):
    """The command `kerasft reproduce table1`; arguments are its options."""
    effect = parse_distortion(distortion)
    names = split_names(layers)
    classifier = Classifier.load(model)
    folder = classifier.read(data)
    classifier.check_pixels(folder.images, folder.labels)
    if len(folder.images) < 2 * size:
        raise ValueError(
            f"Expected at least {2 * size} images for two sets of --size {size}. "
            f"Received: {len(folder.images)} in {data}."
        )
    out = pathlib.Path(out)
    file = out / f"table1-{distortion.replace(':', '')}.csv"
    settings = {"distortion": distortion, "size": size, "images": len(folder.images)}
    rows = _read_rows(file, settings)
    done = set() if rows is None else set(rows["subset"])
    reference = None
    for subset in range(subsets):
        if subset in done:
            continue
        if reference is None:
            reference = rank_filters(classifier.model, folder.images, effect, layers=names)
        new = table1(classifier.model, folder.images, effect, reference, subset, size=size)
        rows = pd.concat([rows, new.assign(**settings)])
        out.mkdir(parents=True, exist_ok=True)
        write_whole(file, rows.to_csv(index=False).encode())
    summary = summarise_table1(rows)
    write_whole(file.with_suffix(".summary.csv"), summary.to_csv(index=False).encode())
    _print(summary, distortion, file)


def _read_rows(file, settings):
    """Rows of an earlier run, `None` where there was none."""
    if not file.exists():
        return None
    try:
        rows = pd.read_csv(file)
        same = all((rows[key] == value).all() for key, value in settings.items())
    except (ValueError, KeyError) as error:
        raise ValueError(f"Expected the results of table1 in {file}. Received: {error}.") from error
    if not same:
        raise ValueError(
            f"Expected results with {settings} in {file}. Received: those of other settings; "
            "give another --out."
        )
    return rows


def _print(summary, distortion, file):
    table = Table(title=f"Matches with the paired ranking, {distortion}", title_justify="left")
    table.add_column("features, metric")
    for column in ("exemplars", "layer", "matches", "95% interval", "chance"):
        table.add_column(column, justify="right")
    for row in summary.itertuples():
        table.add_row(
            f"{row.features}, {row.metric}",
            str(row.exemplars),
            row.layer,
            f"{row.matches:.1f} of {row.selected}",
            f"{row.low:.1f} – {row.high:.1f}",
            f"{row.chance:.1f}",
        )
    console = Console()
    console.print(table)
    console.print(f"Wrote {file}", markup=False, highlight=False, soft_wrap=True)
