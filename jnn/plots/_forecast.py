"""The figure of forecasts beside their series."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jnn._figure import drawn_text, new_figure
from jnn._settings import check_integer
from jnn.data import Dataset
from jnn.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEVIATIONS = 1.645  # of a normal distribution, on either side of its mean: 90 % of it


def forecast(results: Mapping[str, Result], data: Dataset, row: int, channel: int = -1) -> "Figure":
    """Draw one window of a series and each ensemble's forecast of it.

    The line is the mean over the members, the band 1.645 standard deviations on either side.

    Args:
        results: Name -> result of a study on `data`.
        data: Windows [time, channels], see `jnn.Dataset.from_series`.
        row: Number of the window; a negative one counts from the last.
        channel: Number of the channel; a negative one counts from the last.

    Raises:
        ValueError: If there is no result, or the data have no such window or channel.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(f"results must map a name to each result, got {results!r}.")
    if data.y is None or np.ndim(data.y) != 3 or np.ndim(data.x) != 3:
        raise ValueError(f"data must have windows and targets [time, channels], got {data!r}.")
    rows, _, channels = data.x.shape
    row = check_integer("row", row, -rows, rows - 1) % rows
    channel = check_integer("channel", channel, -channels, channels - 1)
    x = data.x[np.array([row])]
    offset = 0.0 if data.target_offset is None else data.target_offset[channel]
    past = x[0, :, channel] + offset  # predictions have it too
    future = data.y[np.array([row])][0, :, channel] + offset
    figure, axes = new_figure()
    steps = np.arange(-len(past), len(future))
    axes.plot(steps, np.concatenate([past, future]), "k", linewidth=1, label="series")
    for name, result in results.items():
        prediction = result.predict(x)
        mean = prediction.mean[0, :, channel]
        half = _DEVIATIONS * prediction.std[0, :, channel]
        axes.plot(mean, label=drawn_text(name))
        axes.fill_between(np.arange(len(mean)), mean - half, mean + half, alpha=0.2, linewidth=0)
    counts = " and ".join(str(n) for n in sorted({len(one.members) for one in results.values()}))
    axes.set(
        xlabel="steps from now",
        title=drawn_text(f"{data.name}; bands: 90 % of the spread of {counts} members"),
    )
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure
