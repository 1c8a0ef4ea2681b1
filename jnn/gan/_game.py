"""A game of a generator and a discriminator as a trainer: `Game(...)` is for `Study.trainer`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jnn.averaging import Averaging
from jnn.engine import (
    INIT,
    Data,
    Member,
    State,
    Trained,
    Trainer,
    fit_preprocessing,
    key_of,
    numbers_of,
    on_device,
    row_count,
    take_rows,
)
from jnn.gan._check import (
    called_with_labels,
    check_data,
    check_examples,
    check_outputs,
    check_tables,
    draw_latents,
)
from jnn.gan._evaluate import make_evaluate
from jnn.gan._latents import Latents
from jnn.gan._packing import pack
from jnn.gan._penalties import Penalty
from jnn.gan._player import Player, make_player
from jnn.gan._state import DISCRIMINATOR, GENERATOR, generator_of, inputs_of, joined, player_state
from jnn.gan._step import make_step
from jnn.losses.gan import Adversarial, Relativistic
from jnn.model import Model
from jnn.study import Study

_GENERATOR_KEY, _DISCRIMINATOR_KEY = 0x6E7, 0xD15  # so that equal networks begin differently


@dataclasses.dataclass(frozen=True, eq=False)
class Game:
    """The settings of a generative adversarial network; see `jnn.gan.Study`.

    It is a function of a study that returns its trainer.
    """

    generator: Model
    discriminator: Model
    latents: Latents
    loss: Adversarial | Relativistic
    optimizers: tuple[Any, Any]
    penalties: Sequence[Penalty] = ()
    classes: int | None = None
    packing: int = 1
    unrolled: int = 0
    discriminator_steps: int = 1
    simultaneous: bool = False
    averaging: Averaging | None = None
    samples: int | None = None

    uses_study = True  # its inputs, and the members' numbers by name; both are checked

    def __call__(self, study: Study) -> Trainer:
        """Return the trainer of a study."""
        players = self.players(study)

        def predict(trained: Trained, x: Any, shared: Any = None) -> jax.Array:
            del shared
            rows = row_count(x)
            labels = None if self.classes is None else jnp.arange(rows) % self.classes
            latents = self.latents(jax.random.key(0, impl="threefry2x32"), rows)
            return generate(study, players[0], trained, latents, labels)

        def draw(trained: Trained, key: jax.Array, rows: int, labels: Any) -> jax.Array:
            return generate(study, players[0], trained, self.latents(key, rows), labels)

        higher = {name for name, metric in study.metrics.items() if metric.higher_is_better}
        return Trainer(
            _make_start(self, study, *players),
            make_step(self, study, *players),
            make_evaluate(study, draw, samples=self.samples, labelled=self.classes is not None),
            predict,
            frozenset(higher),
            _make_restart(*players),
        )

    @property
    def batches(self) -> tuple[str, int]:
        """The setting that says how many batches a step takes, and its value."""
        return "discriminator_steps", self.discriminator_steps

    def describe(self) -> dict[str, Any]:
        """Return the settings by name, for records."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def players(self, study: Study) -> tuple[Player, Player]:
        """Return the functions of generator and discriminator."""
        settings = {"precision": study.precision, "epochs": study.epochs}
        of_generator, of_discriminator = self.optimizers
        generator = Study(
            self.generator, _no_loss, of_generator, averaging=self.averaging, **settings
        )
        discriminator = Study(self.discriminator, _no_loss, of_discriminator, **settings)
        return make_player(generator), make_player(discriminator)


def generate(
    study: Study, generator: Player, trained: Trained, latents: Any, labels: Any
) -> jax.Array:
    """Return examples in the units of the data, one for each latent row."""
    samples = generator.score(generator_of(trained), inputs_of(latents, labels))
    return study.inputs.inverse(trained.scale[0], samples)


def _make_start(game: Game, study: Study, generator: Player, discriminator: Player) -> Any:
    """Make `start(member, data) -> State`."""

    def start(member: Member, data: Data) -> State:
        check_data(data, game.classes)
        data = on_device(data)
        fold = jnp.asarray(member.fold, jnp.int32)
        scale = fit_preprocessing(study, data, fold)
        hyper = numbers_of(study, member)
        row = study.inputs.forward(scale[0], take_rows(data.x, slice(0, 1))).shape[1:]
        rows = 2 * game.packing
        labels = None if game.classes is None else jnp.zeros(rows, jnp.int32)
        key = key_of(member.key, INIT)
        inputs = inputs_of(draw_latents(game.latents, key, rows), labels)
        with called_with_labels(GENERATOR, game.classes):
            made = generator.begin(jax.random.fold_in(key, _GENERATOR_KEY), hyper, inputs)
            examples = jax.eval_shape(generator.score, made.trained, inputs)
        check_examples(examples, (rows, *row))
        packed = pack(jnp.zeros((rows, *row), jnp.float32), game.packing)
        inputs = inputs_of(packed, None if labels is None else pack(labels, game.packing))
        with called_with_labels(DISCRIMINATOR, game.classes):
            judge = discriminator.begin(jax.random.fold_in(key, _DISCRIMINATOR_KEY), hyper, inputs)
            outputs = jax.eval_shape(discriminator.score, judge.trained, inputs)
        check_outputs(outputs, 2)
        check_tables(made.trained.params, game.classes, GENERATOR)
        check_tables(judge.trained.params, game.classes, DISCRIMINATOR)
        words = jax.random.key_data(member.key)
        state = State(Trained({}, {}, scale, hyper), {}, fold, words, jnp.int32(0))
        return joined(state, made, judge, generator.study)

    return start


def _make_restart(generator: Player, discriminator: Player) -> Any:
    """Make `restart(state, trained) -> State`."""

    def restart(state: State, trained: Trained) -> State:
        key = key_of(state.key, INIT)
        state = state._replace(trained=trained)
        made, judge = (
            player.restart(own._replace(key=jax.random.fold_in(key, number)), own.trained)
            for player, number, own in (
                (generator, _GENERATOR_KEY, player_state(state, GENERATOR)),
                (discriminator, _DISCRIMINATOR_KEY, player_state(state, DISCRIMINATOR)),
            )
        )
        return joined(state, made, judge, generator.study)

    return restart


def _no_loss(outputs: Any, targets: Any) -> Any:
    """Stand for the loss of a player, which the game computes."""
    del targets
    return outputs
