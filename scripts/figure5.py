"""Figure 5: accuracy on distorted images against the number of distorted training images.

    python scripts/figure5.py --data cifar-10-python.tar.gz

The same as `kerasft reproduce figure5`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "figure5", *sys.argv[1:]])
