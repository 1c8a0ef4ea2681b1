"""What the layers of trained members give, and the slopes of the loss in their parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._names import names_in, natural_key
from jnn.data import map_parts
from jnn.engine import (
    State,
    Trained,
    as_trained,
    default_settings,
    loss_of,
    make_forward,
    row_count,
    weighted_mean,
)
from jnn.model import layer_outputs
from jnn.result._predict import Part
from jnn.result._result import Result
from jnn.result._rows import prepare_rows
from jnn.study import Study


def activations(result: Result, x: Any) -> dict[str, np.ndarray]:
    """Return what each layer of every member gives for rows x, in the order of the layers.

        jnn.plots.by_depth(jnn.result.activations(result, x), label="activations")

    The network is called as it predicts, so that nothing is dropped. Layers are the modules in a
    Linen or NNX network; one that is called several times has a number for each call. Other public
    methods count as well, such as "blocks/0/attention/project", whose arrays 0 and 1 are queries
    and keys. For members that have not learned yet, train with `optimizer=optax.set_to_zero()`.

    Args:
        result: What `jnn.run` returned.
        x: Rows as in `Result.predict`, few enough for all activations to be held at once.

    Returns:
        Name of a module -> [members, rows, ...].

    Raises:
        ValueError: If the network is not made of modules, or has a trainer of its own.
    """
    part, study = _part_of(result)
    forward = make_forward(study)

    def of_member(trained: Trained, rows: Any, shared: Any) -> dict[str, jax.Array]:
        with layer_outputs() as found:
            forward(trained, rows, shared=shared, key=jax.random.key(0))
        return _by_name(found, row_count(rows))

    arguments = part.trained, _rows_of(x, result), study.shared
    names = _made_in_order(of_member, _first(arguments))
    if not names:
        raise ValueError(
            "result must be of a Linen or NNX network, whose modules are its layers, got "
            f"{study.model.name}, which has none. Return what is wanted from its apply."
        )
    return _of_members(of_member, names, *arguments)


def gradients(result: Result, x: Any, y: Any) -> dict[str, np.ndarray]:
    """Return the gradient of every member's loss in each parameter, in the order of their use.

        found = jnn.result.gradients(result, data.x[:256], data.y[:256])
        kernels = {name: value for name, value in found.items() if name.endswith("kernel")}
        jnn.plots.by_depth(kernels, label="gradients")

    It is that of the mean loss of the rows, called as it is scored: without dropout, augmentation,
    penalty and class weights.

    Args:
        result: As in `activations`.
        x: Rows as in `Result.predict`, taken as one batch.
        y: Targets [rows, ...], as in the data set that was trained on.

    Returns:
        Name of a parameter -> [members, *shape of the parameter].

    Raises:
        ValueError: If the loss fails on these rows and targets, or the study has a trainer.
    """
    part, study = _part_of(result)
    forward = make_forward(study)

    def loss(params: Any, trained: Trained, rows: Any, targets: Any, shared: Any) -> jax.Array:
        trained = trained._replace(params=params)
        outputs, _ = forward(trained, rows, shared=shared, key=jax.random.key(0))
        state = State(trained, (), jnp.int32(0), jax.random.key(0), jnp.int32(0), jnp.int32(0))
        targets = as_trained(study, trained.target_stats, targets)
        return weighted_mean(loss_of(study, outputs, targets, state), None)

    def of_member(trained: Trained, rows: Any, targets: Any, shared: Any) -> dict[str, jax.Array]:
        slopes = jax.grad(loss)(trained.params, trained, rows, targets, shared)
        return dict(zip(names_in(slopes)[0], jax.tree.leaves(slopes), strict=True))

    classes = result.schema.classes
    targets = map_parts(lambda part: _as_targets(part, classes), y)
    arguments = part.trained, _rows_of(x, result), targets, study.shared
    one = _first(arguments)
    names = _used_in_order(loss, (one[0].params, *one))
    return _of_members(of_member, names, *arguments)


def _part_of(result: Result) -> tuple[Part, Study]:
    result.trained  # noqa: B018  # raises if members of several studies are joined
    (part,) = result.parts
    study = part.known_study()
    if study.trainer is not None:
        raise ValueError("result must be of a study without a trainer of its own, got one with it.")
    return part, study


def _rows_of(x: Any, result: Result) -> Any:
    rows = prepare_rows(x, result.schema)
    return map_parts(np.asarray, rows[: len(rows)])


def _as_targets(y: Any, classes: int) -> np.ndarray:
    """Return targets in the types of the device; of classes, if there are some."""
    array = np.asarray(y)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"y must hold numbers as in training, got type {array.dtype}.")
    if classes and array.size and array.max() >= classes:
        raise ValueError(f"y must hold labels from 0 to {classes - 1}, got {array.max()}.")
    return array.astype(np.int32 if array.dtype.kind in "iub" else np.float32)


def _first(arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return the arguments with the first member in place of all."""
    trained, *others = arguments
    return jax.tree.map(lambda array: array[0], trained), *others


def _of_members(
    of_member: Callable[..., dict[str, jax.Array]],
    names: Sequence[str],
    trained: Trained,
    *arguments: Any,
) -> dict[str, np.ndarray]:
    """Return a function of each member by name, [members, ...], in the order of the names."""

    @jax.jit
    def of_all(trained: Trained, *arguments: Any) -> dict[str, jax.Array]:
        return jax.lax.map(lambda one: of_member(one, *arguments), trained)

    with default_settings():
        values = of_all(trained, *arguments)
    return {name: np.asarray(values[name]) for name in names}


def _by_name(found: Sequence[Any], rows: int) -> dict[str, jax.Array]:
    """Return the outputs of layers that are numbers of each row, by the names of the layers.

    What the whole network gives is left out, which is in `Result.outputs`.
    """
    calls = found[0] if len(found) == 1 else {str(i): tree for i, tree in enumerate(found)}
    arrays: dict[str, list[jax.Array]] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(calls):
        *keys, _ = (str(getattr(key, "key", getattr(key, "idx", key))) for key in path)
        keys = keys[:-1] if keys[-1:] == ["__call__"] else keys
        is_of_rows = jnp.shape(leaf)[:1] == (rows,)
        if keys and is_of_rows and jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            arrays.setdefault("/".join(keys), []).append(leaf)
    return {
        name if len(leaves) == 1 else f"{name}/{index}": leaf
        for name, leaves in arrays.items()
        for index, leaf in enumerate(leaves)
    }


def _made_in_order(
    function: Callable[..., dict[str, jax.Array]], arguments: Sequence[Any]
) -> list[str]:
    """Return the names of what a function returns in the order in which it computes them."""
    program, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    steps = enumerate(program.jaxpr.eqns)
    made = {id(variable): place for place, step in steps for variable in step.outvars}
    places = [made.get(id(variable), -1) for variable in program.jaxpr.outvars]
    return _sorted(sorted(shapes), places)  # as JAX sorts dicts


def _used_in_order(function: Callable[..., Any], arguments: Sequence[Any]) -> list[str]:
    """Return the names in the tree of the first argument in the order of their first use."""
    program = jax.make_jaxpr(function)(*arguments).jaxpr
    used: dict[int, int] = {}
    for place, step in enumerate(program.eqns):
        for variable in step.invars:
            used.setdefault(id(variable), place)
    names = names_in(arguments[0])[0]
    places = [
        used.get(id(variable), len(program.eqns)) for variable in program.invars[: len(names)]
    ]
    return _sorted(names, places)


def _sorted(names: Sequence[str], places: Sequence[int]) -> list[str]:
    """Return names by their places, and numbers in them by their value where these are equal."""
    pairs = sorted(zip(places, map(natural_key, names), names, strict=True))
    return [name for _, _, name in pairs]
