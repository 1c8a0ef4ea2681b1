"""The study of a generative adversarial network."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jnn import study
from jnn._settings import SettingTypeError, check_integer
from jnn.averaging import Averaging
from jnn.gan._game import Game
from jnn.gan._latents import Latents, as_latents
from jnn.gan._penalties import Penalty
from jnn.losses.gan import Adversarial, Relativistic, non_saturating
from jnn.model import TrainKeyword, as_model

_ADVERSARIAL = ("discriminator(predictions, targets)", 2), ("generator(predictions)", 1)
_RELATIVISTIC = ("discriminator(real, fake)", 2), ("generator(real, fake)", 2)
_OWN_LOSSES = "loss must be a pair of losses such as jnn.gan.non_saturating"
_SETTINGS = (
    "epochs",
    "evaluate_every",
    "evaluation_batch",
    "hyper",
    "inputs",
    "keep",
    "metrics",
    "monitor",
    "order",
    "patience",
    "precision",
    "record",
    "steps_per_epoch",
    "validation",
)


def Study(
    generator: Any,
    discriminator: Any,
    *,
    latent: int | Sequence[int] | Latents,
    optimizers: tuple[Any, Any],
    loss: Adversarial | Relativistic = non_saturating,
    penalty: Penalty | Sequence[Penalty] | None = None,
    classes: int | None = None,
    packing: int = 1,
    unrolled: int = 0,
    discriminator_steps: int = 1,
    simultaneous: bool = False,
    averaging: Averaging | None = None,
    samples: int | None = None,
    batch_size: int = 32,
    train_keyword: TrainKeyword = None,
    **settings: Any,
) -> study.Study:
    """Return the study of a generator and a discriminator that train against each other.

    It is a `jnn.Study` whose trainer plays the game, so members, grids, folds, plans, resuming and
    saving are those of any study. Each step updates the discriminator on real and generated
    examples, in separate batches, and then the generator. An epoch records the means of
    `train_discriminator_loss` and `train_generator_loss`. `jnn.gan.sample` draws examples of the
    trained generators; `result.outputs(x)` are examples too, one for each row of x.

    Args:
        generator: Network of any form that `jnn.as_model` takes, from latents to examples of the
            shape of the data; with `classes` it is called with (latents, labels).
        discriminator: Network from examples to raw outputs [rows, ...], without a sigmoid; with
            `classes` it is called with (examples, labels).
        latent: What the generator draws for each example: a number or a shape of normal numbers,
            `jnn.gan.uniform(64)`, or a function `draw(key, rows)`.
        optimizers: Of the generator and of the discriminator, as in `jnn.Study`.
        loss: A pair of losses: `minimax`, `non_saturating`, `least_squares`, `hinge`,
            `wasserstein`, `relativistic` or `relativistic_average` of this module.
        penalty: Added to the discriminator's loss: `jnn.gan.gradient_penalty(10.0)`,
            `jnn.gan.r1(10.0)`, `jnn.gan.r2(10.0)`, several of them, or functions
            `penalty(critic, real, fake, *, key, h)` of one value for each example, or each pack.
        classes: Number of classes of a conditional pair, whose data have labels y. Examples are
            generated for the labels of the batch.
        packing: Number of examples that the discriminator judges at once, side by side along their
            last axis (Lin et al. 2018, https://arxiv.org/abs/1712.04086); `batch_size` counts
            examples, not packs. Labels of a pack are [packs, packing].
        unrolled: Number of further steps of the discriminator through which the gradient of the
            generator flows (Metz et al. 2017, https://arxiv.org/abs/1611.02163). An optimizer with
            a square root needs room below it: `optax.adam(rate, eps_root=1e-8)`.
        discriminator_steps: Updates of the discriminator in each step, each on `batch_size` other
            rows.
        simultaneous: Whether both players move at once, so that the generator faces the
            discriminator as it was before the step.
        averaging: The generator's parameters to score and sample with, such as
            `jnn.averaging.ema(0.999)`.
        samples: Number of generated examples that the metrics see; by default one for each row that
            is scored.
        batch_size: Real examples in one update of the discriminator, and generated ones in each
            update. The last batch of an epoch is filled up with rows that do not count in the
            losses.
        train_keyword: As in `jnn.Study`, for both networks.
        **settings: Of `jnn.Study`: epochs, evaluate_every, evaluation_batch, hyper, inputs, keep,
            metrics, monitor, order, patience, precision, record, steps_per_epoch, validation. A
            metric takes generated examples for predictions and real ones for targets.

    Raises:
        TypeError: If a setting is of another type, or is none.
        ValueError: If a setting has another value than it may have; when the study is run, if the
            generator's examples do not have the shape of the data, or labels are missing.
    """
    _check_settings(settings)
    packing = check_integer("packing", packing)
    steps = check_integer("discriminator_steps", discriminator_steps)
    batch_size = check_integer("batch_size", batch_size)
    unrolled = check_integer("unrolled", unrolled, 0)
    if batch_size % packing:
        raise ValueError(
            f"packing must divide batch_size, {batch_size}, got {packing}. Use for example "
            f"batch_size={batch_size // packing * packing or packing}."
        )
    if not isinstance(simultaneous, bool | np.bool):
        raise SettingTypeError(f"simultaneous must be True or False, got {simultaneous!r}.")
    if simultaneous and steps > 1:
        raise ValueError(
            f"discriminator_steps must be 1 if the players move simultaneously, got {steps}. Set "
            "one of the two."
        )
    game = Game(
        generator=as_model(generator, train_keyword=train_keyword),
        discriminator=as_model(discriminator, train_keyword=train_keyword),
        latents=as_latents(latent),
        loss=_checked_loss(loss),
        optimizers=_checked_optimizers(optimizers),
        penalties=_checked_penalties(penalty),
        classes=None if classes is None else check_integer("classes", classes),
        packing=packing,
        unrolled=unrolled,
        discriminator_steps=steps,
        simultaneous=bool(simultaneous),
        averaging=_checked_averaging(averaging),
        samples=None if samples is None else check_integer("samples", samples),
    )
    return study.Study(
        model=game.generator, trainer=game, batch_size=batch_size * steps, **settings
    )


def _check_settings(settings: dict[str, Any]) -> None:
    unknown = sorted(settings.keys() - set(_SETTINGS))
    if unknown:
        own = [*inspect.signature(Study).parameters][:-1]
        raise TypeError(
            f"jnn.gan.Study has no setting {unknown[0]!r}. It has {own} and of jnn.Study "
            f"{list(_SETTINGS)}."
        )
    metrics = settings.get("metrics")
    for name, metric in metrics.items() if isinstance(metrics, Mapping) else ():
        if getattr(metric, "task", None) is not None:
            raise ValueError(
                f"metrics[{name!r}] must compare sets of examples, as generated and real ones are "
                f"no pairs, got {metric!r}. Take one of jnn.gan."
            )


def _checked_loss(loss: Any) -> Adversarial | Relativistic:
    players = [getattr(loss, name, None) for name in ("discriminator", "generator")]
    if not all(map(callable, players)):
        raise TypeError(f"{_OWN_LOSSES}, got {loss!r}. Take one of jnn.gan.")
    forms = _RELATIVISTIC if isinstance(loss, Relativistic) else _ADVERSARIAL
    for function, (form, arguments) in zip(players, forms, strict=True):
        study.check_call("loss", function, form, arguments)
    return loss


def _checked_optimizers(optimizers: Any) -> tuple[Any, Any]:
    is_optimizer = hasattr(optimizers, "init") and hasattr(optimizers, "update")
    is_pair = isinstance(optimizers, tuple | list) and len(optimizers) == 2 and not is_optimizer
    if not is_pair or any(one is None for one in optimizers):
        raise TypeError(
            "optimizers must be two optimizers, of the generator and of the discriminator, got "
            f"{optimizers!r}. Use for example (optax.adam(1e-4, b1=0.5), optax.adam(4e-4, b1=0.5))."
        )
    for place, one in enumerate(optimizers):
        study.check_optimizer(f"optimizers[{place}]", one)
    return tuple(optimizers)


def _checked_penalties(penalty: Any) -> tuple[Penalty, ...]:
    several: tuple[Any, ...] = () if penalty is None else (penalty,)
    if isinstance(penalty, tuple | list):
        several = tuple(penalty)
    form = "penalty(critic, real, fake, *, key, h)"
    for one in several:
        study.check_call("penalty", one, form, 3, ("key", "h"))
    return several


def _checked_averaging(averaging: Averaging | None) -> Averaging | None:
    if averaging is not None and getattr(averaging, "every", None) != "step":
        raise ValueError(
            "averaging must be one that is updated after each step, such as "
            f"jnn.averaging.ema(0.999), got {averaging!r}."
        )
    return averaging
