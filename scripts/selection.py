"""How many filters to fine-tune, and chosen by which rule (future work of Section 5.2).

    python scripts/selection.py --data cifar-10-python.tar.gz

The same as `kerasft reproduce selection`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "selection", *sys.argv[1:]])
