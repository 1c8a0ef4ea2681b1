"""One member's start and step as pure functions; `jnn.epoch` and `jnn.program` make epochs and whole trainings of them.

What changes the program (model, loss, optimizer, batch size) is closed over by a `make_...`; what changes only numbers
(data, keys, rows, hyper-parameters) is an argument. So the functions made here can be jitted, vmapped over members,
mapped and sharded.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jnn.data import Windows
from jnn.model import as_model
from jnn.preprocess import Preprocess
from jnn.study import Study, as_optimizer

Leaf = Any  # an array; while shapes are looked at, a jax.ShapeDtypeStruct

INIT, ORDER, STEP = range(
    3
)  # streams of random numbers that a member's key is folded into, see `key_of`
_AUGMENT, _DRAW = 0xA06, 0xD4A  # folded into a step's key; layers fold in small numbers


class Rows(NamedTuple):
    """Which rows of the resident data belong to each fold, as equally long lists.

    Attributes:
        index: int32 [folds, most]; beyond `count` the entries are padding.
        count: int32 [folds], how many entries are real.
    """

    index: Leaf
    count: Leaf


class Data(NamedTuple):
    """The resident arrays that all members read, and the rows that each fold trains and is scored on.

    Attributes:
        x: [rows, *features], or `jnn.data.Windows` of a series.
        y: [rows] or [rows, outputs], or `Windows`.
        train: Rows whose gradient is taken.
        validation: Rows that choose the best epoch (`Study.keep="best"`), else None.
        test: Rows that give the score, else None.
    """

    x: Leaf
    y: Leaf
    train: Rows
    validation: Rows | None = None
    test: Rows | None = None


class Member(NamedTuple):
    """The numbers of one member: its key, its row in `Rows`, its hyper-parameters by name."""

    key: Leaf
    fold: Leaf
    hyper: Mapping[str, Leaf]


Columns = Mapping[str, Any]
IDLE = "is idle"  # the column of those members that need no training: they fill up the call, or have ended


def member_of(columns: Columns) -> Member:
    """One row of the table of members as the engine's `Member`."""
    numbers = {k: v for k, v in columns.items() if k not in ("seed", "fold", IDLE)}
    return Member(
        jax.random.key(columns["seed"], impl="threefry2x32"), columns.get("fold", 0), numbers
    )


class Batch(NamedTuple):
    """Rows of a step; `weights` [batch] is 0 on rows that only fill up the batch, None where all rows count."""

    x: Leaf
    y: Leaf
    weights: Leaf | None = None


class State(NamedTuple):
    """What a step reads and writes: one member's parameters, model and optimizer state, step count and key.

    `scale` holds the statistics of the study's `inputs` and `targets` preprocessing, fitted on this member's rows.
    `key` is the member's as plain words (`jax.random.key_data`, uint32 [2]), because a jitted function that returns a
    typed key leaves JAX's fast path: microseconds a call from the host. A typed one works too.
    """

    params: Any
    model_state: Any
    opt_state: Any
    scale: Any
    hyper: dict[str, Leaf]
    key: Leaf
    step: Leaf


class MissingNumber(KeyError, ValueError):
    """A number that no member has, in one sentence."""

    def __str__(self) -> str:
        return self.args[0]


class Hypers(Mapping):
    """A member's numbers, read as `h.learning_rate` or `h["learning_rate"]`; remembers in `read` what was read."""

    def __init__(self, values: Mapping[str, Any], read: set[str] | None = None):
        self._values, self.read = values, set() if read is None else read

    def __getitem__(self, name):
        if name not in self._values:
            raise MissingNumber(
                f"wanted the hyper-parameter {name!r}, but the members have {sorted(self._values) or 'none'}; "
                f"add jnn.grid({name}=[...]) to the members or Study(hyper={{{name!r}: ...}})"
            )
        self.read.add(name)
        return self._values[name]

    def __contains__(self, name):
        return name in self._values

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)


def make_start(study: Study, *, read: set[str] | None = None) -> Callable[[Member, Data], State]:
    """Makes `start(member, data) -> State`: draws parameters from the member's key, fits preprocessing on its rows.

    Args:
        study: What is trained.
        read: Collects the names of the numbers that are read while tracing.
    """
    model = as_model(study.model)

    def start(member: Member, data: Data) -> State:
        data = jax.tree.map(jnp.asarray, data)  # NumPy's arrays take no traced fold
        numbers = {k: jnp.asarray(v) for k, v in {**study.hyper, **member.hyper}.items()}
        scale = _fit(study, data, member.fold)
        x = study.inputs.forward(scale[0], data.x[:2])
        params, model_state = jax.tree.map(jnp.asarray, model.init(key_of(member.key, INIT), x))
        opt_state = as_optimizer(study.optimizer)(Hypers(numbers, read)).init(params)
        key, step = jax.random.key_data(member.key), jnp.zeros((), jnp.int32)
        return State(params, model_state, opt_state, scale, numbers, key, step)

    return start


def make_step(
    model: Any,
    loss: Callable,
    optimizer: Any,
    *,
    penalty: Callable | None = None,
    augment: Callable | None = None,
    objective: Callable | None = None,
    inputs: Preprocess | None = None,
    targets: Preprocess | None = None,
    precision: str = "float32",
    read: set[str] | None = None,
) -> Callable[[State, Batch], tuple[State, jax.Array]]:
    """Makes `step(state, batch) -> (state, loss)`: one update of one member by the weighted mean loss of a batch.

    Args:
        model: Whatever `jnn.as_model` takes.
        loss: `loss(outputs, targets) -> per-example losses`.
        optimizer: An `optax.GradientTransformation` or a function of the member's numbers that returns one.
        penalty: `penalty(params, hyper) -> scalar`, added to the mean loss.
        augment: `augment(batch, *, key) -> batch`, applied to the raw batch.
        objective: `objective(forward, batch) -> (losses per row, model_state)` instead of the loss of the outputs;
            `forward(x, draw=1)` drops out other units than `forward(x)`.
        inputs: Applied to `batch.x` with `state.scale[0]` before the model.
        targets: Applied to `batch.y` with `state.scale[1]` before the loss.
        precision: "bfloat16" computes the network in bfloat16; parameters, loss and update stay float32.
        read: Collects the names of the numbers that are read while tracing.
    """
    model, optimizer = as_model(model), as_optimizer(optimizer)
    forward = make_forward(model, inputs, precision, read=read)
    objective = objective or _plain(loss)

    def total(params, state: State, batch: Batch, key):
        train = training_forward(forward, state._replace(params=params), key)
        losses, model_state = objective(train, batch)
        mean = weighted_mean(losses, batch.weights)
        whole = mean if penalty is None else mean + penalty(params, Hypers(state.hyper, read))
        return whole, (mean, model_state)

    def step(state: State, batch: Batch) -> tuple[State, jax.Array]:
        key = key_of(state.key, STEP, state.step)
        batch = prepared(batch, state, key, augment, targets)
        gradients, (mean, model_state) = jax.grad(total, has_aux=True)(
            state.params, state, batch, key
        )
        update = optax.with_extra_args_support(optimizer(Hypers(state.hyper, read))).update
        updates, opt_state = update(gradients, state.opt_state, state.params, value=mean)
        params = optax.apply_updates(state.params, updates)
        return state._replace(
            params=params, model_state=model_state, opt_state=opt_state, step=state.step + 1
        ), mean

    return step


def prepared(
    batch: Batch, state: State, key: jax.Array, augment: Callable | None, targets: Preprocess | None
) -> Batch:
    """The batch that a step trains on: augmented, its targets preprocessed."""
    if augment is not None:
        batch = augment(batch, key=jax.random.fold_in(key, _AUGMENT))
    return batch if targets is None else batch._replace(y=targets.forward(state.scale[1], batch.y))


def training_forward(forward: Callable, state: State, key: jax.Array) -> Callable:
    """An objective's `forward(x, draw=0) -> (outputs, model_state)`; each draw has random masks of its own."""

    def train(x, draw: int = 0):
        own = key if draw == 0 else jax.random.fold_in(jax.random.fold_in(key, _DRAW), draw)
        return forward(state, x, key=own, train=True)

    return train


def make_step_of(
    study: Study, *, read: set[str] | None = None
) -> Callable[[State, Batch], tuple[State, jax.Array]]:
    """Makes the step that a study trains with."""
    names = ("penalty", "augment", "objective", "inputs", "targets", "precision")
    options: dict[str, Any] = {name: getattr(study, name) for name in names}
    return make_step(study.model, study.loss, study.optimizer, **options, read=read)


def make_forward(
    model: Any,
    inputs: Preprocess | None = None,
    precision: str = "float32",
    *,
    read: set[str] | None = None,
) -> Callable:
    """Makes `forward(state, x, *, key, train) -> (outputs, model_state)`: preprocessing, then the network."""
    model = as_model(model)

    def forward(state: State, x, *, key=None, train=False):
        x = x if inputs is None else inputs.forward(state.scale[0], x)
        params = state.params
        if precision == "bfloat16":
            params, x = jax.tree.map(_to_bfloat16, (params, x))
        outputs, model_state = model.apply(
            params, state.model_state, x, key=key, train=train, hyper=Hypers(state.hyper, read)
        )
        if precision == "bfloat16":
            outputs = jax.tree.map(lambda a: a.astype(jnp.float32), outputs)
            model_state = jax.tree.map(
                lambda new, old: new.astype(old.dtype), model_state, state.model_state
            )
        return outputs, model_state

    return forward


def key_of(key: jax.Array, stream: int, number: Any = 0) -> jax.Array:
    """The key of the number-th use of a stream; one fold for both, as each is a loop to compile and to run."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
    return jax.random.fold_in(key, 3 * number + stream)


def weighted_mean(losses: jax.Array, weights: jax.Array | None) -> jax.Array:
    """sum(w l) / sum(w) over rows, 0 where all weigh 0; a row's loss is the mean over its further axes."""
    if weights is None:
        return jnp.mean(per_row(losses))
    return jnp.sum(per_row(losses) * weights) / jnp.maximum(jnp.sum(weights), 1e-9)


def per_row(losses: jax.Array) -> jax.Array:
    """[rows, ...] -> [rows]: the mean over all but the first axis."""
    return losses.reshape(losses.shape[0], -1).mean(axis=1) if losses.ndim > 1 else losses


def _fit(study: Study, data: Data, fold) -> tuple[Any, Any]:
    """Preprocessing fitted on a fold's training rows, by weights over all rows: so vmap copies no data."""
    index, count = data.train.index[fold], data.train.count[fold]
    real = (jnp.arange(index.shape[0]) < count).astype(jnp.float32)
    weights = jnp.zeros(data.x.shape[0]).at[index].add(real)

    def fit(preprocess: Preprocess, values):
        if isinstance(
            values, Windows
        ):  # each step of the series counts once, in however many windows it is
            return preprocess.fit(values.values, values.covered(weights))
        return preprocess.fit(values, weights)

    return fit(study.inputs, data.x), fit(study.targets, data.y)


def _plain(loss: Callable) -> Callable:
    """The objective that takes nothing but the loss of the outputs."""

    def objective(forward: Callable, batch: Batch):
        outputs, model_state = forward(batch.x)
        return loss(outputs, batch.y), model_state

    return objective


def _to_bfloat16(a: jax.Array) -> jax.Array:
    return a.astype(jnp.bfloat16) if jnp.issubdtype(a.dtype, jnp.floating) else a
