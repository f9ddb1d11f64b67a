"""Put the tables of measured results into the README, from their files.

    python scripts/readme_results.py [--check]

The text between the markers `<!-- results -->` and `<!-- end of results -->`
is replaced; `--check` only says whether it is up to date.
"""

import argparse
import pathlib

import pandas as pd

ROOT = pathlib.Path(__file__).parent.parent
START, END = "<!-- results -->\n", "<!-- end of results -->\n"
NAMES = {
    "most": "the quarter most affected",
    "least": "the quarter least affected",
    "random": "a random quarter",
    "all": "all filters",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    text = before + START + _tables() + END + after
    if args.check:
        if text != readme.read_text(encoding="utf-8"):
            raise SystemExit("README.md is not up to date: run scripts/readme_results.py")
    else:
        readme.write_text(text, encoding="utf-8")


def _tables():
    photographs = pd.read_csv(ROOT / "docs/results/photographs.summary.csv")
    photographs = photographs[photographs["case"] == "500 images"]
    first = photographs.iloc[0]
    lines = [
        f"| fine-tuned | noisy, before {first.distorted_before:.1%} | "
        f"clean, before {first.clean_before:.1%} |",
        "|---|---|---|",
    ]
    for row in photographs.itertuples():
        lines.append(
            f"| {NAMES[row.which]} | {row.distorted_after:.1%} "
            f"({row.distorted_after_low:.1%} – {row.distorted_after_high:.1%}) | "
            f"{row.clean_after:.1%} |"
        )
    resnet8 = pd.read_csv(ROOT / "docs/results/resnet8.summary.csv")
    lines += [
        "",
        "A model that others trained, the MLPerf Tiny ResNet-8 (a legacy `.h5` file), taken as it",
        "is, with 500 labelled images:",
        "",
        "| distortion, layers | fine-tuned | distorted, before | after | clean, before | after |",
        "|---|---|---|---|---|---|",
    ]
    for row in resnet8.itertuples():
        lines.append(
            f"| {row.case} | {NAMES[row.which]} | {row.distorted_before:.1%} | "
            f"{row.distorted_after:.1%} ({row.distorted_after_low:.1%} – "
            f"{row.distorted_after_high:.1%}) | {row.clean_before:.1%} | {row.clean_after:.1%} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
