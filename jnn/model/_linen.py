"""A Linen module as a model."""

import contextlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict, meta
from flax.errors import InvalidRngError, ModifyScopeVariableError
from flax.traverse_util import flatten_dict, unflatten_dict

from jnn._errors import reason_of
from jnn.model._axes import with_axes
from jnn.model._call import Call
from jnn.model._effects import add_effects, names_losses
from jnn.model._errors import DrawsWithoutKey, NetworkError
from jnn.model._layer_outputs import asked_outputs
from jnn.model._linen_dropout import WatchedDropout
from jnn.model._linen_fields import fields_of, in_mode, is_lifted, switching_fields
from jnn.model._rests import all_same, check_decision, check_moves
from jnn.model._shared import Path, fill_shared
from jnn.model._signatures import Apply, Init
from jnn.model._switch import TrainKeyword

_LAYERS = "intermediates"  # the collection of what layers give
_LOSSES = "losses"
_NO_STATE = ("params", "shared")
_STREAMS = {"params": 0, "dropout": 1}  # stream -> what is folded into the key for it


def functions_of_linen(module: nn.Module, train_keyword: TrainKeyword = None) -> tuple[Init, Apply]:
    """Return `init` and `apply` of a `jnn.Model`.

    Every collection except `params`, `shared` and those of losses is state. The collections `hyper`
    and `shared` are read-only: they hold the member's numbers and the arrays that all members read.
    """
    functions = _Functions(module, train_keyword)
    return with_axes(functions.init), with_axes(functions.apply)


class _Functions:
    """The functions of a module, and what becomes known of it when it is first called."""

    def __init__(self, module: nn.Module, train_keyword: TrainKeyword):
        self._name = type(module).__name__
        self._module = module
        self._train_keyword = train_keyword
        self._call = Call(
            module.__call__,
            owner=self._name,
            train_keyword=train_keyword,
            attributes=fields_of(module),
            positional=is_lifted(module),
        )
        switching = switching_fields(module) if train_keyword is None else {}
        self._fields = {**self._call.attributes, **switching}
        self._shared_shapes: dict[Path, Any] | None = None
        self._has_more: bool | None = None  # whether training has parts that scoring lacks
        self._losses: list[str] = []  # the collections of losses, once they are known
        self._streams: dict[bool, list[str]] = {True: ["dropout"], False: []}  # by train

    def init(self, key: Any, x: Any, *, shared: Any = None) -> Any:
        """Return the first parameters and the first state."""
        variables = self._variables(key, x)
        declared = flatten_dict(variables.get("shared", {}))
        fill_shared(declared, shared, self._name)  # checks the names
        no_state = (*_NO_STATE, *self._losses)
        state = {k: v for k, v in variables.items() if k not in no_state}
        return variables.get("params", {}), state

    def apply(
        self,
        params: Any,
        state: Any,
        x: Any,
        *,
        key: Any = None,
        train: bool = False,
        hyper: Any = None,
        shared: Any = None,
    ) -> Any:
        """Return the outputs, and the next state with its effects in training."""
        variables = {"params": params, **state}
        if "hyper" in state:
            variables["hyper"] = _fill_hyper(state["hyper"], hyper)
        if shared is not None:
            variables["shared"] = self._shared_collection(shared, x)
        arguments, keywords = self._call.arguments(x, train=train, key=key)
        if train and not self._losses:
            jax.eval_shape(self._variables, jax.random.key(0), x)  # tells their names
        mutable = [*(k for k in state if k != "hyper"), *self._losses] if train else False
        dropout = WatchedDropout()

        def run(rngs):
            with nn.intercept_methods(dropout), _explained(self._name):
                apply = in_mode(self._module, self._fields, train).apply
                if asked_outputs() is not None:
                    apply = _telling(apply)
                return apply(variables, *arguments, rngs=rngs, mutable=mutable, **keywords)

        answer = _with_streams(run, key, self._streams[train], self._name)
        if not train:
            return answer, state
        y, updates = answer
        self._check_moves(state, updates, dropout_rests=key is not None and dropout.rests)
        losses = [updates[name] for name in self._losses if name in updates]
        updates = {k: _without_sown(v, state[k]) for k, v in updates.items() if k in state}
        return y, add_effects({**state, **updates}, losses=losses)

    def _variables(self, key: Any, x: Any) -> Any:
        """Return the variables of scoring, and those that only training has."""
        variables = self._variables_in(False, key, x)
        if self._has_more is None and (self._fields or self._call.switches):
            shapes = jax.eval_shape(lambda key, x: self._variables_in(True, key, x), key, x)
            self._has_more = bool(_paths(shapes) - _paths(variables))
        if self._has_more:
            variables = _merged(self._variables_in(True, key, x), variables)
        others = [name for name in variables if name != _LOSSES and names_losses(name)]
        self._losses = [_LOSSES, *others]
        return variables

    def _variables_in(self, train: bool, key: Any, x: Any) -> Any:
        key_params, key_dropout = jax.random.split(key)
        arguments, keywords = self._call.arguments(x, train=train, key=key_dropout)
        rngs = {"params": key_params, "dropout": key_dropout}
        with nn.intercept_methods(WatchedDropout()), _explained(self._name):
            module = in_mode(self._module, self._fields, train)
            return _unboxed(module.init(rngs, *arguments, **keywords))

    def _shared_collection(self, shared: Any, x: Any) -> Any:
        if self._shared_shapes is None:
            shapes = jax.eval_shape(self._variables, jax.random.key(0), x).get("shared", {})
            self._shared_shapes = flatten_dict(shapes)
        return unflatten_dict(fill_shared(self._shared_shapes, shared, self._name))

    def _check_moves(self, state: Any, updates: Any, *, dropout_rests: bool) -> None:
        check_moves(
            self._name,
            self._train_keyword,
            (*self._call.switches, *self._fields),
            statistics_rest=all_same(state.get("batch_stats"), updates.get("batch_stats")),
            dropout_rests=dropout_rests,
        )


def _telling(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Return `Module.apply` that tells what each layer gives; see `layer_outputs`."""

    def call(*arguments: Any, mutable: Any, **keywords: Any) -> Any:
        more = [*(mutable or ()), _LAYERS]
        y, updates = apply(*arguments, mutable=more, capture_intermediates=True, **keywords)
        found = asked_outputs()
        assert found is not None
        found.append(updates.pop(_LAYERS, {}))
        return (y, updates) if mutable else y

    return call


def _with_streams(
    run: Callable[[dict[str, jax.Array]], Any],
    key: jax.Array | None,
    streams: list[str],
    name: str,
) -> Any:
    """Return `run(rngs)` with a key for every stream that it asks for.

    Flax answers a stream that it lacks from the stream `params`, which lifted transformations may
    leave unsplit. So a stream is added here when it is asked for first.
    """
    while True:
        rngs = {} if key is None else {stream: _key_of(stream, key) for stream in streams}
        try:
            return run(rngs)
        except InvalidRngError as error:
            stream = _stream_of(error)
            if key is None or stream in rngs or stream == "dropout":
                kind = NetworkError if stream == "dropout" else DrawsWithoutKey
                raise kind(
                    f"{name} must draw random numbers only while it trains, got: "
                    f"{reason_of(error)}. Give its __call__ the keyword train, and draw only where "
                    "that is True; or pass key=."
                ) from error
            streams.append(stream)


def _key_of(stream: str, key: jax.Array) -> Any:
    if stream in _STREAMS:
        return jax.random.fold_in(key, _STREAMS[stream])
    return jax.random.fold_in(key, zlib.crc32(stream.encode()))


def _stream_of(error: InvalidRngError) -> str:
    found = re.search(r'needs PRNG for "([^"]*)"', str(error))
    return "dropout" if found is None else found[1]


def _fill_hyper(declared: Any, hyper: Mapping[str, Any] | None) -> Any:
    """Return the declared numbers, those whose name is in `hyper` replaced by the member's."""
    numbers = {} if hyper is None else hyper

    def fill(path, default):
        name = str(getattr(path[-1], "key", path[-1]))
        if name not in numbers:
            return default
        return jnp.asarray(numbers[name], jnp.result_type(default))

    return jax.tree_util.tree_map_with_path(fill, declared)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn errors of Flax that are about how the network is written into sentences."""
    try:
        yield
    except ModifyScopeVariableError as error:
        raise NetworkError(
            f"{name} must change its variables only while it trains, but it does while it is "
            "scored. Give its __call__ the keyword train and pass use_running_average=not train, "
            "or name the switch that it has: Study(train_keyword='...')."
        ) from error
    except jax.errors.ConcretizationTypeError as error:
        check_decision(name, error)
        raise


def _unboxed(variables: Any) -> Any:
    """Return arrays for those that Flax keeps in a box with the names of their axes.

    A name says over which axis of a mesh to share an array; here members are shared out.
    """

    def unbox(leaf: Any) -> Any:
        while isinstance(leaf, meta.AxisMetadata):
            leaf = (
                leaf.unbox(apply_constraint=False)
                if isinstance(leaf, nn.Partitioned)
                else (leaf.unbox())
            )
        return leaf

    return jax.tree.map(unbox, variables, is_leaf=meta.is_axis_metadata)


def _paths(variables: Mapping[str, Any]) -> set[Path]:
    return {*flatten_dict(variables)}


def _merged(more: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return all variables; of those in both, the second ones."""
    return unflatten_dict({**flatten_dict(more), **flatten_dict(variables)})


def _without_sown(after: Any, before: Any) -> Any:
    """Return the collection after a call, with the old values of what was only sown into it.

    A sown value is a tuple that grows, or holds one entry per row of the batch.
    """
    if isinstance(after, dict | FrozenDict):
        return {name: _without_sown(v, before[name]) for name, v in after.items() if name in before}
    if isinstance(after, tuple):
        grows = isinstance(before, tuple) and len(after) > len(before)
        return before if grows else after
    shape, old = jnp.shape(after), jnp.shape(before)
    return before if shape != old and shape[1:] == old[1:] else after
