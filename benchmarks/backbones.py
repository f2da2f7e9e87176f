"""Count the shipped backbones and write the table that ``skall backbones`` shows.

    python benchmarks/backbones.py

Needs no weights; it takes a minute. A new backbone, or another version of torchvision or timm that
builds one otherwise, is what it is run for; a test says so.
"""

import csv
from pathlib import Path

from skall.backbones.catalogue import COLUMNS, TABLE
from skall.backbones.registry import is_shipped, list_backbones
from skall.network.summary import describe_backbone
from skall.persistence.files import write_file


def main():
    rows = []
    for name in filter(is_shipped, list_backbones()):
        row = describe_backbone(name)
        shape = "x".join(map(str, row["feature_shape"]))
        rows.append({"backbone": name} | row | {"feature_shape": shape})

    def write(path):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["backbone", *COLUMNS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    write_file(Path(__file__).parents[1] / "skall" / "backbones" / TABLE, write)


if __name__ == "__main__":
    main()
