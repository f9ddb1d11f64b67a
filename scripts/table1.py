"""Table 1 of the paper: rankings without pairs against the paired one.

    python scripts/table1.py baseline.keras --data cifar10/train --distortion awgn:15

The same as `kerasft reproduce table1`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "table1", *sys.argv[1:]])
