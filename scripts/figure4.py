"""Figure 4: Borda counts of the first layer and how concentrated they are.

    python scripts/figure4.py --data cifar-10-python.tar.gz

The same as `kerasft reproduce figure4`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "figure4", *sys.argv[1:]])
