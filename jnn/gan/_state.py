"""The state of a game: that of both players, in the form of the engine."""

from typing import Any

import jax.numpy as jnp

from jnn.engine import State, Trained, averaged_after, evaluated_variables
from jnn.study import Study

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
_AVERAGED = "averaged"


def joined(state: State, generator: State, discriminator: State, study: Study) -> State:
    """Return the state of a game with these states of its players.

    Args:
        state: The game's key, step, fold, preprocessing and numbers.
        generator: Of the generator.
        discriminator: Of the discriminator.
        study: The generator's, which says how its parameters are averaged.
    """
    params = {GENERATOR: generator.trained.params, DISCRIMINATOR: discriminator.trained.params}
    model_state = {
        GENERATOR: generator.trained.model_state,
        DISCRIMINATOR: discriminator.trained.model_state,
    }
    averaged = evaluated_variables(study, generator)
    if averaged is not None:
        model_state[_AVERAGED] = averaged
    opt_state = {GENERATOR: generator.opt_state, DISCRIMINATOR: discriminator.opt_state}
    trained = state.trained._replace(params=params, model_state=model_state)
    return state._replace(trained=trained, opt_state=opt_state, average=generator.average)


def after_step(generator: State, study: Study) -> State:
    """Return the generator's state with its new parameters in the average, if it has one."""
    return averaged_after(study, generator, "step", generator.step + 1)


def player_state(state: State, name: str) -> State:
    """Return the state of one player of a game."""
    trained = state.trained
    own = Trained(trained.params[name], trained.model_state[name], ((), ()), trained.hyper)
    average = state.average if name == GENERATOR else None
    fold = jnp.int32(0)
    return State(own, state.opt_state[name], fold, state.key, state.step, None, average)


def generator_of(trained: Trained) -> Trained:
    """Return the generator that a game is scored and sampled with: averaged, if it is so."""
    params, model_state = trained.params[GENERATOR], trained.model_state[GENERATOR]
    if _AVERAGED in trained.model_state:
        params, model_state = trained.model_state[_AVERAGED]
    return Trained(params, model_state, ((), ()), trained.hyper)


def inputs_of(x: Any, labels: Any) -> Any:
    """Return the inputs of a network: x alone, or x with labels."""
    return x if labels is None else (x, labels)
