"""Figure 6: disparity of binary feature maps before and after fine-tuning.

    python scripts/figure6.py --data cifar-10-python.tar.gz

The same as `kerasft reproduce figure6`.
"""

import sys

from kerasft_cli.command import main

if __name__ == "__main__":
    main(["reproduce", "figure6", *sys.argv[1:]])
