"""Agreement of the most affected filters between distortions and levels (Section 5.1).

    python scripts/overlap.py --data cifar-10-python.tar.gz

The same as `kerasft reproduce overlap`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "overlap", *sys.argv[1:]])
