"""One call of an NNX module: in its mode, with its random keys, and with what it sows."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from flax import nnx
from flax.nnx.variablelib import variable_type_from_name
from jax.interpreters.partial_eval import dce_jaxpr

from jnn.model._call import Call
from jnn.model._errors import DrawsWithoutKey, NetworkError
from jnn.model._fixed_statistics import are_statistics_fixed
from jnn.model._rests import all_same, check_decision, check_moves
from jnn.model._switch import TrainKeyword, Values, known_values

_LOSSES = ("loss", "losses")


class Answer(NamedTuple):
    """What comes of one call of a module.

    Attributes:
        outputs: What it returned.
        losses: What it sowed as losses.
        streams: The streams of random numbers that it drew from.
    """

    outputs: Any
    losses: list[jax.Array]
    streams: list[nnx.RngStream]


def called(
    module: Any,
    x: Any,
    *,
    train: bool,
    key: jax.Array | None,
    owner: str,
    train_keyword: TrainKeyword,
) -> Answer:
    """Call a module with x.

    Raises:
        NetworkError: If it trains as it is scored.
    """
    call = call_of(module, owner, train_keyword)
    found = _attributes(module) if train_keyword is None else {}
    set_mode(module, train=train, switches={**found, **call.attributes})
    if train and key is None:  # without a key nothing is random
        module.set_attributes(deterministic=True, raise_if_not_found=False)
    if are_statistics_fixed():
        module.set_attributes(use_running_average=True, raise_if_not_found=False)
    arguments, keywords = call.arguments(x, train=train, key=key)
    streams = _streams_of((module, arguments, keywords))
    counts = [stream.count.get_value() for stream in streams]
    statistics = _values(module, nnx.BatchStat)
    before = _values(module, *_loss_types())
    try:
        y, losses = _sowing(module, arguments, keywords)
    except jax.errors.ConcretizationTypeError as error:
        check_decision(owner, error)
        raise
    drawn = [
        stream
        for stream, count in zip(streams, counts, strict=True)
        if stream.count.get_value() is not count
    ]
    if train:
        check_moves(
            owner,
            train_keyword,
            (*call.switches, *found),
            statistics_rest=all_same(
                [*statistics.values()], [*_values(module, nnx.BatchStat).values()]
            ),
            dropout_rests=key is not None and not drawn and not call.keys and _has_dropout(module),
        )
    after = _values(module, *_loss_types())
    losses += [value for path, value in after.items() if value is not before.get(path)]
    return Answer(y, losses, drawn)


def call_of(module: Any, owner: str, train_keyword: TrainKeyword) -> Call:
    """Return how a module is called."""
    attributes = {name for part in _parts(module) for name in vars(part)}
    return Call(
        module.__call__,
        owner=owner,
        train_keyword=train_keyword,
        attributes=dict.fromkeys(attributes - {"_pytree__state", "_pytree__nodes"}),
    )


def set_mode(module: Any, *, train: bool, switches: dict[str, Values] | None = None) -> None:
    """Set a module to training or to scoring.

    Its own methods `train` and `eval` are called, also those of modules in it, the outermost last.
    """
    own = "train" if train else "eval"
    for part in (*reversed(list(_parts(module))[1:]), module):
        if part is module:
            getattr(nnx.Module, own)(part)
        _call_own(part, train)
        for name, values in (switches or {}).items():
            if isinstance(vars(part).get(name), type(values.training)):
                setattr(part, name, values.at(train))


def _call_own(part: Any, train: bool) -> None:
    """Call the method `train` or `eval` that a module defines; `train(False)` if only that."""
    has_train = _is_own(part, "train")
    if train and has_train:
        part.train()
    elif not train and _is_own(part, "eval"):
        part.eval()
    elif not train and has_train and [*inspect.signature(part.train).parameters][:1] == ["mode"]:
        part.train(False)


def _is_own(part: Any, name: str) -> bool:
    own = getattr(type(part), name, None)
    return callable(own) and own is not getattr(nnx.Module, name)


def is_loss(kind: type) -> bool:
    """Return whether variables of this type hold losses."""
    return kind.__name__.lower() in _LOSSES


def _attributes(module: Any) -> dict[str, Values]:
    """Return the switches among the attributes of all modules, besides those that Flax sets."""
    flax = ("deterministic", "use_running_average")
    found = {}
    for part in _parts(module):
        for name, value in vars(part).items():
            values = known_values(name, certain=True)
            if isinstance(value, bool) and values is not None and name not in flax:
                found[name] = values
    return found


def _sowing(module: Any, arguments: Any, keywords: Any) -> tuple[Any, list[jax.Array]]:
    """Call a module; return its outputs and all losses that it sows. Other sown values are lost.

    What Flax's bridges to Linen sow becomes variables, and they cannot be captured.
    """
    if any(type(part).__module__.startswith(nnx.bridge.__name__) for part in _parts(module)):
        return module(*arguments, **keywords), []
    types = _loss_types()
    y, *sown = nnx.capture(lambda module: module(*arguments, **keywords), *types)(module)
    return y, jax.tree.leaves(sown)


def _loss_types() -> tuple[type, ...]:
    variable_type_from_name("losses", allow_register=True)  # of module.sow("losses", ...)
    return tuple(kind for kind in _kinds(nnx.Variable) if is_loss(kind))


def _kinds(kind: type) -> Iterator[type]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _kinds(inner)


def _values(module: Any, *types: type) -> dict[Any, Any]:
    """Return the arrays of all variables of these types, by their paths."""
    variables = nnx.to_flat_state(nnx.state(module, nnx.Any(*types)))
    return {path: variable.get_value() for path, variable in variables}


def _streams_of(tree: Any) -> list[nnx.RngStream]:
    """Return all streams of random numbers of a module and of its arguments."""
    streams = (node for _, node in nnx.iter_graph(tree))
    return [node for node in streams if isinstance(node, nnx.RngStream)]


def _parts(module: Any) -> Iterator[Any]:
    """Yield a module and all modules in it."""
    yield module
    for _, part in nnx.iter_modules(module):
        if part is not module:
            yield part


def _has_dropout(module: Any) -> bool:
    """Return whether a module holds dropout of a rate above 0, which must draw in training."""
    for part in _parts(module):
        rate = getattr(part, "rate", getattr(part, "dropout_rate", None))
        if hasattr(part, "deterministic") and isinstance(rate, int | float) and 0 < rate < 1:
            return True
    return False


def check_scoring(
    module: Any, drawn: list[nnx.RngStream], key: jax.Array | None, owner: str
) -> None:
    """Raise NetworkError for dropout that drops in scoring, and for draws without a key.

    Args:
        module: The module, after a call.
        drawn: The streams that it drew from.
        key: What it was given.
        owner: Name of the network.
    """
    dropping = [part for part in _parts(module) if hasattr(part, "deterministic")]
    for part in dropping:
        if any(vars(part).get("rngs") is stream for stream in drawn):
            raise NetworkError(
                f"{owner} must drop values only while it trains, but its {type(part).__name__} "
                "does while it is scored. Leave deterministic to the mode, or name the switch that "
                "the network has: Study(train_keyword='...')."
            )
    if key is None:
        raise DrawsWithoutKey(
            f"{owner} must draw random numbers only while it trains, but it does while it is "
            "scored. Draw only where its __call__ is told that it trains, or pass key=."
        )


def depends_on_key(outputs: Callable[[jax.Array], Any]) -> bool:
    """Return whether `outputs(key)` depends on the key.

    A module under `nnx.jit` returns new counts of its streams also where it draws from none.
    """
    program = jax.make_jaxpr(lambda key: jax.tree.leaves(outputs(key)))(jax.random.key(0)).jaxpr
    _, is_read = dce_jaxpr(program, [True] * len(program.outvars))
    return any(is_read)
