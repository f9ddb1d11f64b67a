"""Fine-tune on one distortion, test on every other (future work of Section 5.1).

    python scripts/transfer.py --data cifar-10-python.tar.gz

The same as `kerasft reproduce transfer`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "transfer", *sys.argv[1:]])
