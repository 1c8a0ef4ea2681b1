"""The figure of a few-shot curve: scores against the number of labels."""

from typing import TYPE_CHECKING, Any

from jnn._figure import drawn_text, new_figure
from jnn.result import setting_text

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_COLUMNS = ("labels", "metric", "mean", "low", "high", "n", "method", "confidence", "diverged")


def few_shot(table: "pandas.DataFrame", metric: str | None = None) -> "Figure":
    """Draw scores against the number of labels: a line for the mean and a band for its interval.

    Each representation, and each of the members' other settings, is a line.

    Args:
        table: `FewShot.table`, as `jnn.transfer.run` returns it.
        metric: The score to draw; by default the first.
    """
    known = list(map(str, dict.fromkeys(table["metric"])))
    metric = known[0] if metric is None else metric
    if metric not in known:
        raise ValueError(f"metric must be one of the scores {known}, got {metric!r}.")
    figure, axes = new_figure()
    rows: Any = table[table["metric"] == metric]
    names = [name for name in rows if name not in _COLUMNS]
    for values, line in rows.groupby(names, sort=False, dropna=False):
        line = line.sort_values("labels")
        others = dict(zip(names[1:], values[1:], strict=True))
        label = ", ".join(text for text in (str(values[0]), setting_text(others)) if text)
        (drawn,) = axes.plot(line["labels"], line["mean"], marker="o", label=drawn_text(label))
        axes.fill_between(
            line["labels"], line["low"], line["high"], color=drawn.get_color(), alpha=0.2,
            linewidth=0,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    sizes = sorted(set(rows["labels"]))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set(xlabel="labels", ylabel=drawn_text(metric))
    axes.set_title(drawn_text(f"bands: {rows['method'].iloc[0]}"), fontsize="small")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure
