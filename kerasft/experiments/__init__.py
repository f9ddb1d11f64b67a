"""The experiments of the paper, and what they run on."""

from kerasft.experiments.baseline import NETWORKS, Baseline, train_baseline
from kerasft.experiments.bench import Bench
from kerasft.experiments.grid import run_grid
from kerasft.experiments.image_store import ImageStore
from kerasft.experiments.provenance import provenance
from kerasft.experiments.table1 import summarise_table1, table1

__all__ = [
    "NETWORKS",
    "Baseline",
    "Bench",
    "ImageStore",
    "provenance",
    "run_grid",
    "summarise_table1",
    "table1",
    "train_baseline",
]
