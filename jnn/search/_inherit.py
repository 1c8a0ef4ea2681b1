"""Supernets: a network trained on random architectures, and those that inherit its weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import (
    STEP,
    Batch,
    Data,
    Member,
    Rows,
    State,
    Trained,
    Trainer,
    key_of,
    make_forward,
    supervised,
)
from jnn.model import take_effects
from jnn.result import Result
from jnn.study import Members, Study

_PATH = 0x9A7  # folded into a step's key for the architecture of the step

Options = Mapping[str, Sequence[float]]


def supernet_study(study: Study, options: Options, epochs: int | None = None) -> Study:
    """Return a study each of whose steps trains an architecture that is drawn for the step.

    Every choice is drawn evenly and by itself. Before and after the step the numbers of the member
    are the last option of each choice, with which it is scored at the end of its training.

    Guo et al., Single Path One-Shot (2020), https://arxiv.org/abs/1904.00420

    Args:
        study: What trains one architecture, whose choices are numbers that the network reads.
        options: The options of each choice.
        epochs: Number of epochs; those of the study by default.

    Raises:
        ValueError: If the study has a trainer of its own, or averages its parameters.
    """
    if study.trainer is not None or study.averaging is not None:
        raise ValueError(
            "A study of a one-shot search must have no trainer and no averaging of its own. Leave "
            "out Study.trainer and Study.averaging."
        )
    table = {name: np.asarray(values, np.float32) for name, values in options.items()}

    def trainer_of(study: Study) -> Trainer:
        inner = supervised(study)

        def start(member: Member, data: Data) -> State:
            last = {name: values[-1] for name, values in table.items()}
            return inner.start(member._replace(hyper={**last, **member.hyper}), data)

        def step(state: State, batch: Batch) -> tuple[State, Any]:
            hyper = state.trained.hyper
            key = jax.random.fold_in(key_of(state.key, STEP, state.step), _PATH)
            drawn = {**hyper, **_drawn(key, table)}
            after, logs = inner.step(_with_hyper(state, drawn), batch)
            return _with_hyper(after, hyper), logs

        return inner._replace(start=start, step=step)

    epochs = epochs or study.epochs
    return dataclasses.replace(study, trainer=trainer_of, epochs=epochs, evaluate_every=epochs)


def inheriting_study(study: Study, supernets: Trained, folds: int, calibration: int) -> Study:
    """Return a study that trains no weight, and scores architectures with those of supernets.

    Its members have a number `supernet`, see `inheriting_members`.

    Args:
        study: What the supernets were trained by, before `supernet_study`.
        supernets: What they have learned, [seeds * folds, ...].
        folds: Number of folds.
        calibration: Number of batches of training rows that pass through the network, as in
            training, before an architecture is scored.
    """

    def trainer_of(study: Study) -> Trainer:
        inner = supervised(study)
        forward = make_forward(study)

        def start(member: Member, data: Data) -> State:
            place = jnp.int32(member.hyper["supernet"]) * folds + jnp.int32(member.fold)
            statistics = _at(place, data.shared["supernets"].model_state)
            hyper = {name: jnp.asarray(value) for name, value in member.hyper.items()}
            trained = Trained({}, {"place": place, "statistics": statistics}, (), hyper)
            key = jax.random.key_data(member.key)
            return State(trained, (), jnp.int32(member.fold), key, jnp.int32(0))

        def step(state: State, batch: Batch) -> tuple[State, Any]:
            if calibration:
                key = key_of(state.key, STEP, state.step)
                whole = _inherited(state.trained, batch.shared["supernets"])
                own = batch.shared["own"]
                _, after = forward(whole, batch.x, shared=own, key=key, train=True)
                state = _with_statistics(state, take_effects(after)[0])
            return state._replace(step=state.step + 1), jnp.float32(0)

        def evaluate(state: State, data: Data, rows: Rows) -> dict[str, jax.Array]:
            trained = _inherited(state.trained, data.shared["supernets"])
            data = data._replace(shared=data.shared["own"])
            return inner.evaluate(state._replace(trained=trained), data, rows)

        def predict(trained: Trained, x: Any, shared: Any = None) -> Any:
            return inner.predict(_inherited(trained, shared["supernets"]), x, shared["own"])

        return Trainer(start, step, evaluate, predict, inner.higher_is_better)

    return dataclasses.replace(
        study,
        trainer=trainer_of,
        shared={"supernets": supernets._replace(hyper={}), "own": study.shared},
        epochs=1,
        steps_per_epoch=max(1, calibration),
        evaluate_every=1,
        keep="last",
        patience=None,
        validation=0.0,
        averaging=None,
        record=(),
    )


def inherited_result(result: Result, study: Study, supernets: Trained, members: Members) -> Result:
    """Return the scores of an inheriting study as a result of members that own their weights.

    Args:
        result: What a study that `inheriting_study` returned has scored.
        study: What the supernets were trained by, before `supernet_study`.
        supernets: What they have learned, [seeds * folds, ...].
        members: The members of the result without their number `supernet`.
    """
    (part,) = result.parts
    state = part.trained.model_state
    weights = _at(np.asarray(state["place"]), supernets)
    hyper = {name: value for name, value in part.trained.hyper.items() if name != "supernet"}
    trained = weights._replace(model_state=state["statistics"], hyper=hyper)
    scores = result.scores.drop_vars(["train_loss", "supernet"])
    return dataclasses.replace(result, scores=scores).owned_by(study, trained, members)


def inheriting_members(members: Members) -> Members:
    """Return members that know the supernet of their seed by its number."""
    seeds = members.axes["seed"]
    numbers = np.arange(len(next(iter(seeds.values()))))
    return Members({**members.axes, "seed": {**seeds, "supernet": numbers}}, members.split)


def _drawn(key: jax.Array, table: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    keys = jax.random.split(key, len(table))
    return {
        name: jax.random.choice(k, jnp.asarray(options))
        for k, (name, options) in zip(keys, table.items(), strict=True)
    }


def _with_hyper(state: State, hyper: Mapping[str, Any]) -> State:
    return state._replace(trained=state.trained._replace(hyper=hyper))


def _with_statistics(state: State, statistics: Any) -> State:
    own = {**state.trained.model_state, "statistics": statistics}
    return state._replace(trained=state.trained._replace(model_state=own))


def _at(place: Any, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[place], tree)


def _inherited(trained: Trained, supernets: Trained) -> Trained:
    """Return a member's numbers and statistics with the weights of its supernet."""
    weights = _at(trained.model_state["place"], supernets)
    hyper = {name: value for name, value in trained.hyper.items() if name != "supernet"}
    return weights._replace(model_state=trained.model_state["statistics"], hyper=hyper)
