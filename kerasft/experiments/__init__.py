"""The experiments of the paper, one module for each table and figure."""

from kerasft.experiments.provenance import provenance
from kerasft.experiments.table1 import summarise_table1, table1

__all__ = ["provenance", "summarise_table1", "table1"]
