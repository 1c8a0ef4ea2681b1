"""One step of a game: the discriminator's updates, then the generator's, on one batch."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.engine import (
    STEP,
    Batch,
    HyperParameters,
    Known,
    State,
    explained,
    key_of,
    weighted_mean,
)
from jnn.gan._check import check_examples, draw_latents
from jnn.gan._packing import pack
from jnn.gan._player import Pass, Player
from jnn.gan._state import (
    DISCRIMINATOR,
    GENERATOR,
    after_step,
    inputs_of,
    joined,
    player_state,
)
from jnn.losses.gan import Relativistic
from jnn.study import Study

if TYPE_CHECKING:
    from jnn.gan._game import Game


class Real(NamedTuple):
    """The real examples of one update of the discriminator.

    Attributes:
        x: Preprocessed, [rows, ...].
        labels: [rows], or None.
        weights: [rows].
    """

    x: jax.Array
    labels: jax.Array | None
    weights: jax.Array


def make_step(
    game: "Game", study: Study, generator: Player, discriminator: Player
) -> Callable[[State, Batch], tuple[State, dict[str, jax.Array]]]:
    """Make `step(state, batch) -> (state, logs)`.

    The batch holds the rows of all updates of the discriminator in the step.
    """
    rounds = game.discriminator_steps
    discriminator_step = make_discriminator_step(game, discriminator)
    generator_loss = _make_generator_loss(game, discriminator, discriminator_step)

    def draw(state: State, real: Real, key: jax.Array, params: Any = None) -> Pass:
        latent_key, own_key = jax.random.split(key)
        inputs = inputs_of(draw_latents(game.latents, latent_key, len(real.x)), real.labels)
        drawn = generator.call(state, inputs, key=own_key, params=params)
        check_examples(drawn.outputs, real.x.shape)
        return drawn

    def step(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        keys = jax.random.split(key_of(state.key, STEP, state.step), 4)
        made, judge = player_state(state, GENERATOR), player_state(state, DISCRIMINATOR)
        parts = _rounds(_real(game, study, state, batch), rounds)
        last = jax.tree.map(lambda part: part[-1], parts)

        def samples_of(params: Any) -> tuple[tuple[jax.Array, jax.Array], Pass]:
            drawn = draw(made, last, keys[0], params)
            return (drawn.outputs, drawn.loss), drawn

        (samples, _), pull, drawn = jax.vjp(samples_of, made.trained.params, has_aux=True)
        if rounds == 1:  # both players see the same examples
            trained_judge, discriminator_loss = discriminator_step(judge, last, samples, keys[1])
        else:

            def one(judge: State, inputs: tuple[Real, jax.Array]) -> tuple[State, jax.Array]:
                real, key = inputs
                draw_key, own_key = jax.random.split(key)
                return discriminator_step(judge, real, draw(made, real, draw_key).outputs, own_key)

            each = parts, jax.random.split(keys[1], rounds)
            trained_judge, losses = jax.lax.scan(one, judge, each)
            discriminator_loss = losses.mean()
        opponent = judge if game.simultaneous else trained_judge

        def objective(params: Any) -> jax.Array:
            drawn = draw(made, last, keys[0], params)
            return generator_loss(drawn.outputs, opponent, last, keys[2]) + drawn.loss

        loss, slope = jax.value_and_grad(generator_loss)(samples, opponent, last, keys[2])
        (gradients,) = pull((slope, jnp.float32(1)))
        total = loss + drawn.loss
        made = generator.move(made, drawn, Known(gradients, loss, total, objective, keys[3]))
        made = after_step(made, generator.study)
        after = joined(state, made, trained_judge, generator.study)
        logs = {"discriminator_loss": discriminator_loss, "generator_loss": loss}
        return after._replace(step=state.step + 1), logs

    return step


def make_discriminator_step(
    game: "Game", discriminator: Player
) -> Callable[[State, Real, jax.Array, jax.Array], tuple[State, jax.Array]]:
    """Make `step(state, real, samples, key) -> (state, loss)`, one update of the discriminator."""

    def objective(
        params: Any, state: State, real: Real, samples: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, Pass]]:
        real_key, fake_key, penalty_key = jax.random.split(key, 3)
        labels, weights = _packed_labels(game, real), _pack_weights(game, real)
        both = pack(real.x, game.packing), pack(samples, game.packing)
        on_real = discriminator.call(state, inputs_of(both[0], labels), key=real_key, params=params)
        between = state._replace(trained=state.trained._replace(model_state=on_real.model_state))
        on_fake = discriminator.call(
            between, inputs_of(both[1], labels), key=fake_key, params=params
        )
        loss = _discriminator_loss(game, on_real.outputs, on_fake.outputs, weights)
        total = loss + on_real.loss + on_fake.loss

        def critic(x: jax.Array) -> jax.Array:
            inputs = inputs_of(x, labels)
            return discriminator.call(state, inputs, key=penalty_key, params=params).outputs

        h = HyperParameters(state.trained.hyper)
        for number, penalty in enumerate(game.penalties):
            with explained("A penalty of the discriminator failed"):
                key = jax.random.fold_in(penalty_key, number)
                values = penalty(critic, *both, key=key, h=h)
            total = total + _mean("A penalty", values, weights)
        written = on_real.written if on_fake.written is None else on_fake.written
        return total, (loss, on_fake._replace(written=written))

    def step(
        state: State, real: Real, samples: jax.Array, key: jax.Array
    ) -> tuple[State, jax.Array]:
        own_key, optimizer_key = jax.random.split(key)
        others = state, real, samples, own_key
        params = state.trained.params
        gradient = jax.value_and_grad(objective, has_aux=True)
        (total, (loss, passed)), gradients = gradient(params, *others)
        value = lambda params: objective(params, *others)[0]  # noqa: E731
        known = Known(gradients, loss, total, value, optimizer_key)
        return discriminator.move(state, passed, known), loss

    return step


def _make_generator_loss(
    game: "Game", discriminator: Player, discriminator_step: Callable[..., tuple[State, jax.Array]]
) -> Callable[[jax.Array, State, Real, jax.Array], jax.Array]:
    """Make `generator_loss(samples, judge, real, key) -> loss`, that of the generator.

    If the game is unrolled, the discriminator first takes further steps, which are forgotten
    afterwards, and the gradient flows through them (Metz et al. 2017).
    """

    def generator_loss(samples: jax.Array, judge: State, real: Real, key: jax.Array) -> jax.Array:
        own_key, unroll_key = jax.random.split(key)
        if game.unrolled:

            def ahead(judge: State, key: jax.Array) -> tuple[State, None]:
                return discriminator_step(judge, real, samples, key)[0], None

            keys = jax.random.split(unroll_key, game.unrolled)
            judge, _ = jax.lax.scan(ahead, judge, keys)
        labels = _packed_labels(game, real)
        inputs = inputs_of(pack(samples, game.packing), labels)
        on_fake = discriminator.call(judge, inputs, key=own_key).outputs
        with explained("The loss of the generator failed"):
            if not isinstance(game.loss, Relativistic):
                values = game.loss.generator(on_fake)
                ones = jnp.ones(len(on_fake), jnp.float32)
                return _mean("The loss of the generator", values, ones)
            inputs = inputs_of(pack(real.x, game.packing), labels)
            on_real = discriminator.call(judge, inputs, key=own_key).outputs
            weights = _pack_weights(game, real)
            values = game.loss.generator(_of_present(on_real, weights), on_fake)
        return _mean("The loss of the generator", values, weights)

    return generator_loss


def _discriminator_loss(
    game: "Game", on_real: jax.Array, on_fake: jax.Array, weights: jax.Array
) -> jax.Array:
    """Return the discriminator's loss; it is 0 if there are no real rows.

    Rows weigh on the real side only, as all generated ones are drawn.
    """
    what = "The loss of the discriminator"
    with explained(what + " failed"):
        if isinstance(game.loss, Relativistic):
            values = game.loss.discriminator(_of_present(on_real, weights), on_fake)
            return _mean(what, values, weights)
        real = game.loss.discriminator(on_real, jnp.ones_like(on_real))
        fake = game.loss.discriminator(on_fake, jnp.zeros_like(on_fake))
    has_rows = jnp.broadcast_to(weights.sum() > 0, weights.shape)
    return _mean(what, real, weights) + _mean(what, fake, has_rows.astype(jnp.float32))


def _of_present(outputs: jax.Array, weights: jax.Array) -> jax.Array:
    """Return outputs whose mean is that of the rows of positive weight, in place of all rows."""
    present = (weights > 0).reshape(-1, *(1,) * (outputs.ndim - 1))
    total = jnp.where(present, outputs, 0).sum(axis=0)
    return jnp.where(present, outputs, total / jnp.maximum(present.sum(), 1))


def _mean(what: str, values: Any, weights: jax.Array) -> jax.Array:
    """Return the weighted mean of values of packs, of which there must be one or more each."""
    if np.shape(values)[:1] != weights.shape:
        raise ValueError(
            f"{what} must return one value for each of the {len(weights)} rows that the "
            f"discriminator judges, got the shape {np.shape(values)}. It must not average them."
        )
    return weighted_mean(values, weights)


def _real(game: "Game", study: Study, state: State, batch: Batch) -> Real:
    """Return the real examples of a step, preprocessed."""
    x = study.inputs.forward(state.trained.scale[0], batch.x)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    rows = len(x)
    if rows % (game.discriminator_steps * game.packing):
        raise ValueError(
            f"The rows of a step, {rows}, must be a multiple of {game.discriminator_steps} updates "
            f"of the discriminator times a packing of {game.packing}. Change batch_size."
        )
    weights = jnp.ones(rows, jnp.float32) if batch.weights is None else batch.weights
    return Real(x, batch.y if game.classes is not None else None, weights)


def _rounds(real: Real, count: int) -> Real:
    """Return the examples of each round, [rounds, rows, ...].

    A round takes every count-th row, so that rows of weight 0, which fill up a batch at its end,
    are shared out.
    """

    def split(array: jax.Array) -> jax.Array:
        rows = array.reshape(len(array) // count, count, *array.shape[1:])
        return jnp.moveaxis(rows, 1, 0)

    return jax.tree.map(split, real)


def _packed_labels(game: "Game", real: Real) -> jax.Array | None:
    return None if real.labels is None else pack(real.labels, game.packing)


def _pack_weights(game: "Game", real: Real) -> jax.Array:
    """Return the weight of each pack: the product over its rows, which are independent draws."""
    if game.packing == 1:
        return real.weights
    return jnp.prod(pack(real.weights, game.packing), axis=1)
