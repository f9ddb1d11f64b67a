#!/usr/bin/env bash
# Every experiment of the paper at toy size, on the embedded digits, in minutes.
#
#     BIN=.venv/bin bash scripts/reproduce_quick.sh
set -euo pipefail
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Strong noise, on a network that knows its digits: where less is to be gained, early stopping
# comes early.
run() {
    local name=$1
    shift
    # Runs take as long as the start of a process for them.
    "$BIN/kerasft" reproduce "$name" --dataset digits --baseline-epochs 30 \
        --cache "$out/cache" --out "$out/results" --jobs 1 "$@"
}
run figure4 --distortions blur:1,awgn:25 --pairs 200
run overlap --distortions blur:1,awgn:25 --pairs 200
run figure5 --distortions awgn:25 --sizes 50 --seeds 2
run figure5 --distortions awgn:25 --sizes 50 --seeds 1 \
    --methods "first layer whole,most in first layer,most in last layer,scratch"
run figure6 --distortions awgn:25 --size 50 --seeds 1
run transfer --distortions awgn:25 --size 50 --seeds 1
run selection --distortions awgn:25 --sizes 50 --seeds 1

"$BIN/python" - "$out/digits" <<'EOF'
import sys
from kerasft.datasets import digits, save_image_folder

images, labels = digits()
save_image_folder(sys.argv[1], images[:300], [f"{l}/{i}.png" for i, l in enumerate(labels[:300])])
EOF
"$BIN/kerasft" reproduce table1 "$out"/cache/cifar10_cnn-*.keras --data "$out/digits" \
    --size 100 --subsets 2 --out "$out/results"
"$BIN/kerasft" reproduce report --out "$out/results"
