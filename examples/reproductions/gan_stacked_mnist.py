"""Train tiny discriminators on stacked MNIST: how many of the 1000 modes do generators reach?

    python examples/reproductions/gan_stacked_mnist.py [NAME ...] [--quick] [--directory FOLDER]

Lin et al., PacGAN (2018, https://arxiv.org/abs/1712.04086), the table of discriminators a quarter
the size of the generator (Metz et al. 2017), 50 trials: DCGAN reaches 78.5 +- 17.6 modes, and one
whose discriminator judges 2, 3 or 4 images at once 484.5 +- 33.0, 601.3 +- 32.2 and 667.4 +- 29.0.
The table does not give the steps of training; the published configuration allows 500,000. Here are
far fewer, so no row is judged: what can be read is the trend of the modes over the steps, and the
paired difference between packed and plain.

As there: three random digits are the channels of an image, from -1 to 1; networks, 256 latent
numbers, Adam with betas .5 and .99, and twice the rate for the discriminator; 25,600 examples at
the end, whose channels a convolutional network classifies; the divergence of the shares of the
modes from equal ones. The curve over the steps is scored by 2,560 examples, among which 1000
equally likely modes would show 923.

Different from there: rates of 1e-3 and 2e-3 where it has 1e-4 and 2e-4, by which images are still
gray after 400 steps; a step has 120 images, which all of 1, 2, 3 and 4 divide, so that all games
cost the same, where it has 128 packs, that is 512 images for packs of 4. The images are 60,000
triples that are drawn once, as a discriminator of 250 to 750 parameters cannot learn them by heart;
there they are drawn in every step. Examples are normalized by running averages, there by the
statistics of their batch.

A step of one pair takes about 60 ms of one CPU core. The record is of 3 seeds and 2,400 steps,
some 40 minutes of CPU; for more use `--seeds 10 --steps 20000 --directory FOLDER`, and the same
again after an interruption.
"""

import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _record import Row, arguments, record_path, save, show
from flax import nnx
from scipy.stats import entropy

import jnn
from jnn import gan, plots
from jnn.modules import BatchNorm, Conv, ConvTranspose, Dense

LATENT, RATE, IMAGES, TRIPLES, MODES, POINTS = 256, 1e-3, 120, 60_000, 1000, 8
PACKING = {"plain": 1, "packed2": 2, "packed3": 3, "packed4": 4}
PUBLISHED = {  # mean and standard error of the modes, mean of the divergence
    "plain": (78.5, 17.6, 5.21),
    "packed2": (484.5, 33.0, None),
    "packed3": (601.3, 32.2, None),
    "packed4": (667.4, 29.0, None),
}
Classify = Callable[[jax.Array], jax.Array]
NORMAL = nnx.initializers.normal(0.02)


class Generator(nnx.Module):
    """A linear layer to 64 maps of 4x4, then 32 of 7x7, 16 of 14x14, 8 of 28x28, and 3 channels."""

    def __init__(self, *, rngs: nnx.Rngs):
        maps = (64, 32, 16, 8)
        options = {"kernel_init": NORMAL, "use_bias": False, "rngs": rngs}
        paddings = (((1, 1), (1, 1)), "SAME", "SAME")
        sizes = zip(maps, maps[1:], paddings, strict=False)
        self.project = Dense(LATENT, 4 * 4 * maps[0], **options)
        self.norms = nnx.List([BatchNorm(n, momentum=0.9, rngs=rngs) for n in maps])
        self.convs = nnx.List(
            [ConvTranspose(m, n, (3, 3), 2, padding=pairs, **options) for m, n, pairs in sizes]
        )
        self.output = Conv(maps[-1], 3, (3, 3), kernel_init=NORMAL, rngs=rngs)

    def __call__(self, z: jax.Array) -> jax.Array:
        """Map [batch, 256] to images [batch, 28, 28, 3] from -1 to 1."""
        x = self.project(z).reshape(len(z), 4, 4, -1)
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = conv(jax.nn.relu(norm(x)))
        return jnp.tanh(self.output(jax.nn.relu(self.norms[-1](x))))


class Discriminator(nnx.Module):
    """Three 3x3 convolutions of stride 2 to 2, 4 and 8 maps, batch norm, leaky relu, one logit."""

    def __init__(self, packing: int, *, rngs: nnx.Rngs):
        maps = (3 * packing, 2, 4, 8)
        options = {"kernel_init": NORMAL, "rngs": rngs}
        sizes = itertools.pairwise(maps)
        self.convs = nnx.List([Conv(m, n, (3, 3), 2, use_bias=False, **options) for m, n in sizes])
        self.norms = nnx.List([BatchNorm(n, momentum=0.9, rngs=rngs) for n in maps[1:]])
        self.output = Dense(4 * 4 * maps[-1], 1, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map packs of images [batch, 28, 28, 3 packing] to logits [batch]."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = jax.nn.leaky_relu(norm(conv(x)), 0.3)
        return self.output(x.reshape(len(x), -1))[:, 0]


def _nothing(values: jax.Array, weights: jax.Array) -> tuple[()]:
    del values, weights
    return ()


def _from_bytes(stats: tuple[()], values: jax.Array) -> jax.Array:
    del stats
    return values / 127.5 - 1


def _to_bytes(stats: tuple[()], values: jax.Array) -> jax.Array:
    del stats
    return (values + 1) * 127.5


PIXELS = jnn.preprocess.Preprocess(_nothing, _from_bytes, _to_bytes, name="pixels")


def stack(digits: np.ndarray, rows: int) -> jnn.Dataset:
    """Return images of three random digits each, uint8 [rows, 28, 28, 3]."""
    chosen = np.random.default_rng(0).integers(len(digits), size=(rows, 3))
    images = np.moveaxis((255 * digits[..., 0]).round().astype(np.uint8)[chosen], 1, -1)
    return jnn.Dataset.from_arrays(images, name="stacked MNIST")


def train_classifier(digits: jnn.Dataset, epochs: int, directory: Path | None) -> jnn.Result:
    """Return a network that names digits, scored on those of the test set."""
    rate = optax.cosine_decay_schedule(3e-3, epochs * math.ceil(digits.rows / 128))
    study = jnn.Study(
        model=partial(jnn.models.LeNet, (28, 28, 1), 10, maps=(8, 16)),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(rate),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=128,
    )
    test = jnn.data.load("mnist", split="test")
    return jnn.run(study, digits, test=test, directory=directory)


def make_study(
    packing: int, steps: int, number: Classify, *, samples: int, images: int = IMAGES
) -> jnn.Study:
    """Return the study of one game, scored eight times."""
    return gan.Study(
        generator=Generator,
        discriminator=partial(Discriminator, packing),
        latent=LATENT,
        optimizers=(optax.adam(RATE, b1=0.5, b2=0.99), optax.adam(2 * RATE, b1=0.5, b2=0.99)),
        packing=packing,
        inputs=PIXELS,
        metrics={
            "modes": gan.classified_modes(number, MODES),
            "kl": gan.classified_kl(number, MODES),
        },
        samples=samples,
        evaluation_batch=512,
        epochs=POINTS,
        steps_per_epoch=steps // POINTS,
        batch_size=images,
    )


def final_scores(result: jnn.Result, number: Classify, samples: int) -> dict[str, np.ndarray]:
    """Return the modes of each seed and the divergence of their shares from equal ones."""
    modes, divergences = [], []
    for member in range(len(result.members)):
        images = gan.sample(result.member(member), samples)[0]
        numbers = [number(images[first : first + 512]) for first in range(0, samples, 512)]
        counts = np.bincount(np.concatenate(numbers), minlength=MODES)
        modes.append(np.count_nonzero(counts))
        divergences.append(entropy(counts, np.ones(MODES)))
    return {"modes": np.array(modes, float), "kl": np.array(divergences)}


def rows_of(scores: dict[str, dict[str, np.ndarray]]) -> list[Row]:
    """Return the published figures beside ours; none is judged, as the steps are others."""
    rows = []
    for name, own in scores.items():
        mean, error, divergence = PUBLISHED[name]
        rows.append(Row(f"{name}, modes", own["modes"], mean, error, is_judged=False))
        if divergence is not None:
            rows.append(Row(f"{name}, KL", own["kl"], divergence, is_judged=False))
    plain, plain_error, _ = PUBLISHED["plain"]
    for name in [name for name in scores if name != "plain" and "plain" in scores]:
        gain = scores[name]["modes"] - scores["plain"]["modes"]
        mean, error, _ = PUBLISHED[name]
        expected, spread = mean - plain, math.hypot(error, plain_error)
        label = f"{name} - plain, modes, paired"
        rows.append(Row(label, gain, expected, spread, is_judged=False))
    return rows


def draw(result: jnn.Result, steps: int, path: Path) -> None:
    """Draw the modes among the examples of each score against the steps."""
    figure = plots.learning_curves(result, "train_modes")
    (axes,) = figure.axes
    axes.set(xlabel="steps", ylabel="modes among 2,560 examples")
    axes.xaxis.set_major_formatter(lambda epoch, place: f"{epoch * steps / POINTS:.0f}")
    axes.set_ylim(bottom=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.write(figure, path)


def main() -> None:
    """Train the games, print the table, draw the curve, and check the scores."""
    options = arguments(__doc__, list(PACKING), keeps=True, seeds=3, steps=2400)
    quick, folder = options.quick, options.directory
    seeds, steps = (2, 16) if quick else (options.seeds, options.steps)
    least, samples, points = (0.7, 512, 128) if quick else (0.98, 25_600, 2560)
    images = 12 if quick else IMAGES
    jnn.use_cpu_cores()
    digits = jnn.data.load("mnist", split="train")
    kept = {name: folder and folder / name for name in ("classifier", *PACKING)}
    some = digits.take(slice(3000)) if quick else digits
    classifier = train_classifier(some, 2 if quick else 3, kept["classifier"])
    accuracy = float(classifier.final()["accuracy"].mean())
    assert accuracy > least, f"the classifier must name more than {least} right, got {accuracy}"
    logits = gan.features_of(classifier)
    number = gan.by_channels(lambda images: logits(images / 255))
    data = stack(np.asarray(digits.x), 1000 if quick else TRIPLES)
    results, scores = {}, {}
    for name in options.names:
        study = make_study(PACKING[name], steps, number, samples=points, images=images)
        results[name] = jnn.run(study, data, jnn.seeds(seeds), directory=kept[name])
        scores[name] = final_scores(results[name], number, samples)
        print(f"{name}: {results[name].timing['run']:.0f} s, {scores[name]}", flush=True)
    result = jnn.Result.concat(list(results.values()), game=list(results))
    print(result.summary("train_modes"))
    rows = rows_of(scores)
    show(f"Stacked MNIST, D = 1/4 G, {steps} steps, {seeds} seeds", rows)
    path = record_path("gan_stacked_mnist", options)
    if path is not None:
        draw(result, steps, path.with_suffix(".png"))
    seconds = {name: one.timing["run"] for name, one in results.items()}
    curves = {n: np.asarray(one.scores["train_modes"]).tolist() for n, one in results.items()}
    save(
        "gan_stacked_mnist", rows, options, seeds=seeds, steps=steps, seconds=seconds,
        images_per_step=images, accuracy_of_classifier=accuracy, examples=samples,
        examples_of_curve=points, steps_of_curve=steps // POINTS, curve=curves,
        scores={n: {k: v.tolist() for k, v in own.items()} for n, own in scores.items()},
        not_run="500,000 steps of 128 packs, which the published configuration allows; D = 1/2 G",
    )  # fmt: skip
    assert all(np.isfinite(own["kl"]).all() for own in scores.values()), scores
    if not quick:
        best = max(own["modes"].mean() for own in scores.values())
        assert best > 10, f"some game must reach more than 10 modes: {scores}"


if __name__ == "__main__":
    main()
