"""The README's table of published results and ours, made from the records that the reproductions keep."""

import json
from pathlib import Path
from typing import Any

from benchmarks.tables import table

RECORDS = Path(__file__).parents[1] / "examples" / "reproductions" / "results"

_TITLES = {
    "etth1": "ETTh1 forecasts, NLinear and DLinear at 4 horizons (Zeng et al. 2023)",
    "mnist1d": "MNIST-1D, logistic, MLP, CNN and GRU (Greydanus and Kobak 2020)",
    "mnist_cnn": "MNIST, the CNN of Flax's example",
    "mr_textcnn": "Sentences of film critics, CNN-rand (Kim 2014)",
    "shakespeare": "tinyshakespeare by characters, nanoGPT's CPU configuration",
    "uci_dropout": "UCI regression, MC dropout on 4 sets (Gal and Ghahramani 2016)",
    "uci_ensembles": "UCI regression, deep ensembles on 4 sets (Lakshminarayanan et al. 2017)",
}


def reproductions() -> str:
    """How many published figures lie within chance of ours, and both where they do not."""
    rows = [
        _row(name, json.loads(path.read_text()))
        for name in _TITLES
        if (path := RECORDS / f"{name}.json").exists()
    ]
    return table(["published", "n", "inside", "outside: ours, published"], rows)


def _row(name: str, record: dict[str, Any]) -> list[str]:
    found = [
        row
        for row in record["rows"]
        if row["verdict"] != "-" and not row["name"].endswith("all windows")
    ]
    outside = [row for row in found if row["verdict"] == "outside"]
    counts = sorted({row["ours"]["n"] for row in found})
    listed = "; ".join(
        f"{row['name']} {row['ours']['mean']:.4g}, {row['paper']:g}" for row in outside
    )
    title = f"[{_TITLES[name]}](examples/reproductions/{name}.py)"
    return [
        title,
        ", ".join(map(str, counts)),
        f"{len(found) - len(outside)} of {len(found)}",
        listed,
    ]
