"""Trunks: whatever turns rows into features, as one form."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn._errors import reason_of
from jnn._settings import check_integer
from jnn.data import Dataset, Windows, map_parts
from jnn.model import Model, as_model, variables_of
from jnn.result import Result
from jnn.storage import add_to_hash, to_host
from jnn.transfer._cut import cut_at
from jnn.transfer._sparse import is_sparse

Features = Any  # [rows, *shape], a dict or tuple of such arrays, or a sparse matrix of SciPy


@dataclasses.dataclass(frozen=True, eq=False)
class Trunk:
    """What turns rows into features.

    Attributes:
        features: `features(rows) -> features` of a batch of rows.
        model: The network, if it is one, for the program of the heads; else None.
        variables: The parameters and the state of the network.
        batch: Number of rows at a time.
    """

    features: Callable[[Any], Features]
    model: Model | None = None
    variables: tuple[Any, Any] | None = None
    batch: int = 512

    def rows_of(self, data: Dataset, places: np.ndarray) -> Any:
        """Return what the trunk reads of some rows: the texts, if there are some, or `x`."""
        if self.model is None and data.texts is not None:
            return data.texts[places].tolist()
        return take_rows(data.x, places)

    def digest(self) -> str:
        """Return a hash of the parameters of a network."""
        code = hashlib.sha256()
        for leaf in jax.tree.leaves(to_host(self.variables)):
            add_to_hash(code, leaf)
        return code.hexdigest()


def trunk(network: Any, base: Any = None, *, cut: str | None = None, batch: int = 512) -> Trunk:
    """Make a trunk of a trained network, or of any function.

    Args:
        network: A network as in `jnn.as_model`, whose parameters are `base`; a result of one
            member, such as `result.member(0)`; or a function `features(rows) -> features`, which
            is given the texts of a data set that has them, and `data.x` of any other.
        base: The parameters of the network, or parameters and state, in any form that `jnn.freeze`
            takes.
        cut: Name of a layer of a Flax network, such as "output" or "blocks/3/dense": the features
            are what goes into it. By default they are the outputs of the network.
        batch: Number of rows at a time.

    Raises:
        TypeError: If this is no trunk.
        ValueError: If the result has several members.
    """
    batch = check_integer("batch", batch)
    if cut is not None and not isinstance(cut, str):
        raise TypeError(f"cut must be the name of a layer, such as 'output', got {cut!r}.")
    if isinstance(network, Result):
        return _of_result(network, cut, batch)
    if base is None:
        if not callable(network) or cut is not None:
            raise TypeError(
                "trunk must be a function of rows, a pair (network, parameters), a result of one "
                f"member or a dict of these, got {type(network).__name__}. A network needs its "
                "parameters: jnn.transfer.trunk(network, base, cut='output')."
            )
        return Trunk(network, batch=batch)
    model = as_model(network)
    if cut is not None:
        model = cut_at(model, cut)
    params, state = variables_of(model, base)
    return _of_network(model, (params, {} if state is None else state), batch)


def as_trunk(source: Any) -> Trunk:
    """Return a trunk from any of its forms."""
    if isinstance(source, Trunk):
        return source
    if isinstance(source, tuple) and len(source) == 2:
        return trunk(*source)
    return trunk(source)


def take_rows(rows: Any, places: np.ndarray) -> Any:
    """Return the rows at some places, of an array, of windows or of several parts."""
    if isinstance(rows, Windows):
        return rows[places]
    return map_parts(lambda array: np.asarray(array)[places], rows)


def computed(trunk: Trunk, rows: Any, count: int, name: str) -> Features:
    """Return the features of a batch of rows on the host, after a check.

    Raises:
        ValueError: If the trunk fails, gives another number of rows, or what is not finite.
    """
    try:
        features = _on_host(trunk.features(rows))
    except Exception as error:
        raise ValueError(
            f"The trunk {name!r} failed on {count} rows: {reason_of(error)}"
        ) from error
    for array in [features] if is_sparse(features) else jax.tree.leaves(features):
        _check_shape(array.shape, count, name)
        _check_values(array.data if is_sparse(array) else array, name)
    return features


def _on_host(features: Any) -> Features:
    """Return features as arrays of NumPy or a CSR matrix, those of floats in float32."""
    if is_sparse(features):
        return features.tocsr().astype(np.float32)
    return map_parts(_array, features)


def _array(features: Any) -> np.ndarray:
    is_array = hasattr(features, "dtype")  # and no list
    array = np.asarray(to_host(features) if is_array else features)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return array.astype(np.float32)


def _check_shape(shape: tuple[int, ...], count: int, name: str) -> None:
    if not shape or shape[0] != count:
        raise ValueError(
            f"The trunk {name!r} must give one row of features for each row, got "
            f"{shape[0] if shape else 'one value'} for {count}. Its first axis must be the rows."
        )
    if len(shape) == 1 or 0 in shape[1:]:
        raise ValueError(
            f"The trunk {name!r} must give features of shape [rows, *features], got {shape}. "
            "Return features[:, None] for a single feature."
        )


def _check_values(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "fiub":
        raise ValueError(f"The trunk {name!r} must give numbers, got {values.dtype}.")
    if not np.isfinite(values).all():
        raise ValueError(
            f"The trunk {name!r} must give finite features, got NaN or infinite ones. Look at its "
            "parameters, and at what it divides by, such as the length of an empty text."
        )


def _of_network(model: Model, variables: tuple[Any, Any], batch: int) -> Trunk:
    @jax.jit
    def apply(variables: Any, x: Any) -> Any:
        return model.apply(*variables, x, key=None, train=False, hyper={})[0]

    return Trunk(lambda x: apply(variables, x), model, variables, batch)


def _of_result(result: Result, cut: str | None, batch: int) -> Trunk:
    """Return the network of a member, with the preprocessing that it was trained with."""
    if len(result.members) != 1:
        raise ValueError(
            f"A result as trunk must have one member, got {len(result.members)}. Take one by "
            "result.member(0)."
        )
    study = result.parts[0].known_study()
    network = study.model if cut is None else cut_at(study.model, cut)
    trained = jax.tree.map(lambda array: array[0], result.trained)

    def apply(params: Any, state: Any, x: Any, **options: Any) -> Any:
        own = {} if study.shared is None else {"shared": study.shared}
        x = study.inputs.forward(trained.input_stats, x)
        return network.apply(params, state, x, **{**options, "hyper": trained.hyper}, **own)

    model = Model(network.init, apply, network.name)
    return _of_network(model, (trained.params, trained.model_state), batch)
