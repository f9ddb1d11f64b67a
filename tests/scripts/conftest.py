"""Scripts are no package: their folder is where they look for each other."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / "scripts"))
