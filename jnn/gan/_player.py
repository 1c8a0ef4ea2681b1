"""One player of a game: a network and its optimizer, as pure functions of the engine's state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import (
    Data,
    Known,
    Member,
    Rows,
    State,
    Trained,
    make_forward,
    make_restart,
    make_start,
    optimized,
)
from jnn.model import take_effects, written_over
from jnn.study import Study, as_optimizer

_NO_ROWS = Rows(np.zeros((1, 1), np.int32), np.ones(1, np.int32))  # a player fits no preprocessing


class Pass(NamedTuple):
    """What a network returned for a batch.

    Attributes:
        outputs: [rows, ...].
        model_state: Its variables afterwards.
        loss: The sum of the losses that it sowed, 0 if none.
        written: Those of its parameters that it wrote to, or None.
    """

    outputs: Any
    model_state: Any
    loss: Any
    written: Any


class Player(NamedTuple):
    """One network of a game.

    Attributes:
        study: The network, its optimizer, its precision and its averaging.
        begin: `begin(key, hyper, x) -> State` draws parameters for inputs like x.
        restart: `restart(state, trained) -> State` takes these instead.
        call: `call(state, x, *, key, params=None) -> Pass`, in training mode, with the parameters
            of the state or with others.
        score: `score(trained, x) -> outputs`, not in training mode.
        move: `move(state, passed, known) -> State` after a step of the optimizer.
    """

    study: Study
    begin: Callable[[jax.Array, Any, Any], State]
    restart: Callable[[State, Trained], State]
    call: Callable[..., Pass]
    score: Callable[[Trained, Any], Any]
    move: Callable[[State, Pass, Known], State]


def make_player(study: Study) -> Player:
    """Return the functions of a player.

    Args:
        study: Its network, optimizer, precision and averaging. The loss is not read.
    """
    start = make_start(study)
    forward = make_forward(study)
    optimizer = as_optimizer(study.optimizer)  # type: ignore[arg-type]

    def begin(key: jax.Array, hyper: Any, x: Any) -> State:
        return start(Member(key, jnp.int32(0), hyper), Data(x, None, _NO_ROWS))

    def call(state: State, x: Any, *, key: jax.Array, params: Any = None) -> Pass:
        trained = state.trained
        if params is not None:
            trained = trained._replace(params=params)
        outputs, model_state = forward(trained, x, key=key, train=True)
        model_state, effects = take_effects(model_state)
        loss = jnp.float32(0) if effects.loss is None else effects.loss
        return Pass(outputs, model_state, loss, effects.params)

    def score(trained: Trained, x: Any) -> Any:
        return forward(trained, x)[0]

    def move(state: State, passed: Pass, known: Known) -> State:
        params = written_over(state.trained.params, passed.written)
        params, opt_state = optimized(optimizer, state, params, known)
        trained = state.trained._replace(params=params, model_state=passed.model_state)
        return state._replace(trained=trained, opt_state=opt_state)

    return Player(study, begin, make_restart(study), call, score, move)
