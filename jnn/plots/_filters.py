"""The figure of a convolution's filters."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jnn._figure import new_figure
from jnn._settings import check_integer
from jnn.plots._axes import as_numbers, counted
from jnn.plots._grids import in_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def filters(kernel: Any, *, most: int = 16) -> "Figure":
    """Draw the filters of a convolution in a grid, in colors of one scale around 0.

    A column is an output channel, a row an input channel, or with members an input channel of one
    of them. The filters of one member with one input channel fill a grid about as high as wide.

    Args:
        kernel: [height, width, in, out] of one member, or [members, height, width, in, out].
        most: Number of rows and of columns to draw; the first ones.

    Raises:
        ValueError: If the kernel has another number of axes, is empty, or is not finite.
    """
    most = check_integer("most", most)
    kernels = _checked(kernel)
    members, height, width, inputs, outputs = kernels.shape
    # [rows, columns, height, width]
    grid = kernels.transpose(0, 3, 4, 1, 2).reshape(members * inputs, outputs, height, width)
    if len(grid) == 1:
        grid = in_rows(grid[0, : most * most])
    grid = grid[:most, :most]
    whole = _joined(grid)
    largest = float(np.nanmax(np.abs(whole))) or 1.0
    figure, axes = new_figure(height=float(np.clip(6 * whole.shape[0] / whole.shape[1], 1.6, 12)))
    shown = axes.imshow(whole, cmap="RdBu_r", vmin=-largest, vmax=largest)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes, label="weight")
    if members * inputs > 1:
        rows = "input channels" if members == 1 else "members" if inputs == 1 else "members, inputs"
        axes.set(xlabel="output channels", ylabel=rows)
    axes.set_title(_title(kernels.shape, len(grid), grid.shape[1]), fontsize="small")
    return figure


def _checked(kernel: Any) -> np.ndarray:
    """Return kernels [members, height, width, in, out]."""
    kernels = as_numbers("kernel", kernel, np.float32)
    if kernels.ndim not in (4, 5) or not kernels.size:
        raise ValueError(
            "kernel must be [height, width, in, out], or those with a first axis of members, got "
            f"the shape {kernels.shape}."
        )
    if not np.isfinite(kernels).all():
        raise ValueError("kernel must be finite, got NaN or infinity in it. Draw another member.")
    return kernels if kernels.ndim == 5 else kernels[None]


def _joined(grid: np.ndarray) -> np.ndarray:
    """Return images [rows, columns, height, width] as one, NaN between them."""
    grid = np.pad(grid, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan)
    rows, columns, height, width = grid.shape
    return grid.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)[:-1, :-1]


def _title(shape: tuple[int, ...], rows: int, columns: int) -> str:
    members, height, width, inputs, outputs = shape
    text = (
        f"{height} x {width}, {counted(inputs, 'input channel')}, "
        f"{counted(outputs, 'output channel')}; {counted(members, 'member')}"
    )
    all_drawn = rows * columns >= members * inputs * outputs
    return text if all_drawn else f"{text}; the first {rows} rows and {columns} columns"
