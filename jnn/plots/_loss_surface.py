"""The figure of a loss around a network's parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jnn import paths as tree_paths
from jnn._figure import drawn_text
from jnn._settings import POSITIVE, check_integer, check_number
from jnn.plots._axes import class_color, class_marker, counted, drawn_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_RATIO = 100.0  # of the largest loss to the smallest, from which levels are logarithmic
_MOST_RATIO = 1e4  # of the largest level to the smallest
_LEVELS = 20
_FEW_POINTS, _MANY_POINTS = 31, 101  # in each direction: of a network, of two parameters


class _Plane(NamedTuple):
    """A plane in the space of the parameters.

    Attributes:
        start: The parameters at `origin`, as one vector [parameters].
        directions: What a step of 1 along either axis adds, [2, parameters].
        origin: The place of `start`, [2].
        labels: Names of the two axes.
        words: What the directions are, for the title.
    """

    start: jax.Array
    directions: jax.Array
    origin: np.ndarray
    labels: tuple[str, str]
    words: str


def loss_surface(
    loss: Callable[[Any], Any],
    params: Any,
    *,
    directions: Sequence[Any] | None = None,
    key: Any = None,
    span: float | None = None,
    points: int | None = None,
    paths: Mapping[str, Any] | Sequence[Any] = (),
    axes: "Axes | None" = None,
) -> "Figure":
    """Draw the loss on a plane through parameters: loss(params + a direction_1 + b direction_2).

    By default the directions are random and normalized by filter (Li et al. 2018,
    https://arxiv.org/abs/1712.09913): normal numbers, the part of each output channel scaled to the
    norm of the parameters there, so that a step of 1 is as large as the parameters themselves.
    Biases and other arrays of one axis stay, unless there are no others. A tree of only two numbers
    needs no directions: the axes are its values.

        loss_surface(loss, a, directions=[difference(b, a), difference(c, a)], span=1.5)

    with `difference = functools.partial(jax.tree.map, jnp.subtract)` shows the members a, b and c
    of a population at (0, 0), (1, 0) and (0, 1).

    Args:
        loss: `loss(params) -> number`, which JAX can compile.
        params: The parameters in the middle, of one member; a tree of arrays.
        directions: Two trees like `params`, used as they are.
        key: Random key of the directions; by default `jax.random.key(0)`.
        span: How far the plane reaches from the middle, along either axis; by default 1, or as far
            as the paths go.
        points: Number of points in each direction; by default 31, and 101 for two parameters.
        paths: Name -> path, or a list of paths, such as those that optimizers take. A path is a
            list of trees like `params`, such a tree whose arrays have a first axis [steps], or
            places [steps, 2] on the axes. Trees beside the plane are drawn at the nearest place
            on it.
        axes: Where to draw; by default a new figure.

    Raises:
        ValueError: If the loss is not one number, or if directions or paths do not fit `params`.
    """
    _check_loss(loss, params)
    plane = _make_plane(params, directions, jax.random.key(0) if key is None else key)
    drawn = {name: _places(plane, params, path, name) for name, path in _named(paths).items()}
    reach = _reach(plane, drawn) if span is None else span
    check_number("span", reach, POSITIVE)
    if points is None:
        points = _FEW_POINTS if plane.start.size > 2 else _MANY_POINTS
    points = check_integer("points", points, least=2)
    steps = np.linspace(-reach, reach, points)
    values = _losses(loss, params, plane, steps)

    figure, axes = drawn_on(axes)
    first, second = plane.origin[0] + steps, plane.origin[1] + steps
    _draw_surface(figure, axes, first, second, values)
    for index, (name, places) in enumerate(drawn.items()):
        _draw_path(axes, places, index, name)
    if isinstance(paths, Mapping) and paths:
        axes.legend(fontsize="small")
    axes.set(xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    axes.set(xlabel=drawn_text(plane.labels[0]), ylabel=drawn_text(plane.labels[1]))
    title = f"{points} x {points} points; {plane.words}"
    axes.set_title(title + (f"; {counted(len(drawn), 'path')}" if drawn else ""), fontsize="small")
    return figure


def _check_loss(loss: Callable[[Any], Any], params: Any) -> None:
    if not callable(loss):
        raise TypeError(f"loss must be a function of the parameters, got {loss!r}.")
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(jax.eval_shape(loss, params))]
    if shapes != [()]:
        raise ValueError(
            f"loss must return one number, got arrays of the shapes {shapes}. "
            "Take the mean over the rows, and pass the parameters of one member."
        )


def _make_plane(params: Any, directions: Any, key: jax.Array) -> _Plane:
    start, _ = ravel_pytree(params)
    if directions is None and start.size == 2:
        labels = _names_of_two(params)
        return _Plane(start, jnp.eye(2), np.asarray(start, np.float64), labels, "both parameters")
    if directions is None:
        trees = [_filter_normalized(params, one) for one in jax.random.split(key)]
        words = "random directions, normalized by filter"
    else:
        trees, words = _checked_directions(directions, params), "given directions"
    vectors = jnp.stack([ravel_pytree(tree)[0] for tree in trees])
    return _Plane(start, vectors, np.zeros(2), ("direction 1", "direction 2"), words)


def _names_of_two(params: Any) -> tuple[str, str]:
    names = tree_paths.names(params)
    return (names[0], names[1]) if len(names) == 2 else ("parameter 0", "parameter 1")


def _filter_normalized(params: Any, key: jax.Array) -> Any:
    """Return normal numbers whose norm for each output channel is that of the parameters there."""
    leaves, structure = jax.tree.flatten(params)
    least = 2 if any(jnp.ndim(leaf) > 1 for leaf in leaves) else 0
    keys = jax.random.split(key, len(leaves))
    parts = [_scaled(leaf, least, one) for leaf, one in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, parts)


def _scaled(leaf: Any, least: int, key: jax.Array) -> jax.Array:
    leaf = jnp.asarray(leaf)
    if leaf.ndim < least or not jnp.issubdtype(leaf.dtype, jnp.floating):
        return jnp.zeros_like(leaf)
    axes = tuple(range(max(leaf.ndim - 1, 1))) if leaf.ndim else ()
    draw = jax.random.normal(key, leaf.shape, leaf.dtype)

    def norm(array: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(array**2, axis=axes, keepdims=True))

    return draw * norm(leaf) / norm(draw)


def _checked_directions(directions: Any, params: Any) -> list[Any]:
    trees = list(directions) if isinstance(directions, Sequence) else []
    if len(trees) != 2 or any(not _is_like(tree, params) for tree in trees):
        raise ValueError(
            "directions must be two trees with the names and shapes of params. "
            "Subtract params from those of two other members."
        )
    if any(not np.any(ravel_pytree(tree)[0]) for tree in trees):
        raise ValueError("directions must not be 0. Pass those to two other members.")
    return trees


def _is_like(tree: Any, params: Any, more: int = 0) -> bool:
    """Return whether a tree has the arrays of another, with so many axes more in front."""
    if jax.tree.structure(tree) != jax.tree.structure(params):
        return False
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(params), strict=True)
    return all(
        jnp.ndim(a) == jnp.ndim(b) + more and jnp.shape(a)[more:] == jnp.shape(b) for a, b in pairs
    )


def _named(paths: Any) -> dict[str, Any]:
    if isinstance(paths, Mapping):
        return {str(name): path for name, path in paths.items()}
    return {str(index): path for index, path in enumerate(paths)}


def _places(plane: _Plane, params: Any, path: Any, name: str) -> np.ndarray:
    """Return the places [steps, 2] of a path on the plane."""
    if isinstance(path, np.ndarray | jax.Array) and path.ndim == 2 and path.shape[1] == 2:
        return np.asarray(path, np.float64)
    if _is_like(path, params, more=1):
        vectors = jax.vmap(lambda tree: ravel_pytree(tree)[0])(path)
    elif isinstance(path, Sequence) and path and all(_is_like(tree, params) for tree in path):
        vectors = jnp.stack([ravel_pytree(tree)[0] for tree in path])
    else:
        raise ValueError(
            f"paths must hold lists of trees like params, or places [steps, 2], got another path "
            f"{name!r} of the type {type(path).__name__}."
        )
    moves = np.asarray(vectors - plane.start, np.float64)
    nearest = np.linalg.lstsq(np.asarray(plane.directions, np.float64).T, moves.T)[0]
    return plane.origin + nearest.T


def _reach(plane: _Plane, paths: Mapping[str, np.ndarray]) -> float:
    """Return how far the plane must reach from its middle to show the paths, at least 1."""
    away = [np.abs(places - plane.origin).ravel() for places in paths.values()]
    far = np.concatenate([*away, [0.0]])
    return max(1.0, 1.1 * float(far[np.isfinite(far)].max()))


def _losses(
    loss: Callable[[Any], Any], params: Any, plane: _Plane, steps: np.ndarray
) -> np.ndarray:
    """Return the loss at each place, [second direction, first direction]."""
    _, unravel = ravel_pytree(params)

    @jax.jit
    def evaluate(start: jax.Array, directions: jax.Array, moves: jax.Array) -> jax.Array:
        return jax.lax.map(lambda move: loss(unravel(start + move @ directions)), moves)

    moves = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    values = evaluate(plane.start, plane.directions, jnp.asarray(moves, plane.start.dtype))
    return np.asarray(values, np.float64).reshape(len(steps), len(steps))


def _draw_surface(
    figure: Any, axes: "Axes", first: np.ndarray, second: np.ndarray, values: np.ndarray
) -> None:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator

    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(
            "loss must be finite somewhere on the plane, got none that is. Choose a smaller span."
        )
    low, high = float(values[finite].min()), float(values[finite].max())
    is_log = low > 0 and high > _LOG_RATIO * low
    low = max(low, high / _MOST_RATIO) if is_log else low
    high = high if high > low else low + 1
    levels = (np.geomspace if is_log else np.linspace)(low, high, _LEVELS)
    norm = (LogNorm if is_log else Normalize)(levels[0], levels[-1])
    shown = np.ma.masked_invalid(values)
    extend = "min" if values[finite].min() < levels[0] else "neither"
    filled = axes.contourf(
        first, second, shown, levels=levels, cmap="viridis", norm=norm, extend=extend
    )
    axes.contour(first, second, shown, levels=levels, colors="w", linewidths=0.4, alpha=0.6)
    ticks = None if is_log else MaxNLocator(7)
    figure.colorbar(filled, ax=axes, label="loss", format="%.3g", ticks=ticks)


def _draw_path(axes: "Axes", places: np.ndarray, index: int, name: str) -> None:
    """Draw a path with a dot for each step and a large marker at its end."""
    from matplotlib.patheffects import withStroke

    color = class_color(index)
    end = {"marker": class_marker(index), "markeredgecolor": "k", "markersize": 9}
    outline = [withStroke(linewidth=3.5, foreground="w")]
    axes.plot(
        *places.T, color=color, linewidth=1.6, markevery=[-1], **end, label=drawn_text(name),
        path_effects=outline, zorder=3,
    )  # fmt: skip
    axes.plot(*places.T, ".", color=color, markersize=4, zorder=3)
    axes.plot(*places[-1:].T, color=color, zorder=4, **end)  # above the other paths
    if len(places) > 1:
        axes.plot(*places[0], "o", color="w", markeredgecolor="k", markersize=6, zorder=3)
