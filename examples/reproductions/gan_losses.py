"""Reproduce a finding of Lucic et al. (2018): are losses of GANs further apart than seeds are?

    python examples/reproductions/gan_losses.py [NAME ...] [--quick] [--seeds N] [--steps N]
        [--directory FOLDER]

Are GANs Created Equal? A Large-Scale Study (https://arxiv.org/abs/1711.10337) finds no evidence
that any loss is consistently better than the non-saturating one once all have the same budgets for
training and for search. Here four losses train one pair of networks on Fashion-MNIST: the DCGAN
pair of width 16, whose discriminator has no batch norm, as the gradient penalty is the slope at
each example and is no such slope where a batch is normalized. Batches of 32, Adam with b1 = .5.

Budgets are equal in gradients: each step has one of the discriminator and one of the generator,
for Wasserstein as well, whose penalty differentiates another time. Each loss searches the same six
pairs of learning rates, one full training each, and takes the one with the least distance to
training images. The seeds that are reported are others, and are compared with test images.

The score is the squared Frechet distance between features of 10,000 generated and of the 10,000
test images, the hidden units of a LeNet that this script trains on Fashion-MNIST. It is no FID, and
the FIDs of the paper cannot stand beside it. So the rows are the six paired differences between
losses, whose published value is 0, with intervals that hold for all six together (Bonferroni).

The authors' code (github.com/google/compare_gan) trains 100 settings a loss for 20 epochs, varies
b1, batch norm and the steps of the discriminator too, and repeats the best with 50 seeds. Here
2,000 steps are one epoch, after which distances still fall. It is half an hour of one CPU core: a
step of one pair takes 11 ms, 15 with the penalty.
"""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optax
from _record import Row, arguments, record_path, save, show

import jnn
from jnn import gan, plots, stats

SHAPE, LATENT, WIDTH, BATCH = (28, 28, 1), 64, 16, 32
LOSSES = {
    "non_saturating": (gan.non_saturating, None),
    "wasserstein": (gan.wasserstein, gan.gradient_penalty(10.0)),
    "hinge": (gan.hinge, None),
    "least_squares": (gan.least_squares, None),
}
RATES = (6e-4, 1.8e-3)  # of the generator
DISCRIMINATOR_RATES = (6e-4, 1.8e-3, 5.4e-3)
SEARCH_SEED = 1000
CONFIDENCE = 0.95
LENET = partial(jnn.models.LeNet, SHAPE)


class Scores(NamedTuple):
    """The scores of one seed, of examples beside test images."""

    frechet: float
    precision: float
    recall: float
    coverage: float


class Outcome(NamedTuple):
    """What came of one loss: its search, the seeds that are reported, and their scores."""

    search: jnn.Result
    result: jnn.Result
    scores: list[Scores]

    @property
    def rates(self) -> dict[str, float]:
        """The learning rates that the search chose."""
        return self.search.best("train_frechet").setting

    def values(self, score: str = "frechet") -> np.ndarray:
        """Return a score of each seed, NaN for one that diverged."""
        return np.array([getattr(each, score) for each in self.scores])


class Reference(NamedTuple):
    """What generated images are compared with.

    Attributes:
        test: Test images.
        features: Function from images to features.
        real: Features of the test images.
        accuracy: Of the classifier on them.
        training_images: Distance of as many training images.
    """

    test: jnn.Dataset
    features: Callable
    real: np.ndarray
    accuracy: float
    training_images: float


class Budget(NamedTuple):
    """How much is trained and scored.

    Attributes:
        rows: Training images.
        steps: Of each pair.
        seeds: Reported for each loss.
        rates: Number of learning rates of each player that are searched.
        epochs: Of the classifier, and looks at a pair.
        examples: Generated for the final Frechet distance, at most as many as test images.
        neighbors: Rows on both sides of precision, recall and coverage.
    """

    rows: int
    steps: int
    seeds: int
    rates: int
    epochs: tuple[int, int]
    examples: int
    neighbors: int


def images(split: str, rows: int | None = None) -> jnn.Dataset:
    """Return images from -1 to 1."""
    data = jnn.data.load("fashion_mnist", split=split)
    x = np.asarray(data.x[:rows], np.float32) * 2 - 1
    return jnn.Dataset.from_arrays(x, np.asarray(data.y[:rows]), name=f"Fashion-MNIST, {split}")


def trained_classifier(data: jnn.Dataset, epochs: int, directory: Path | None) -> jnn.Result:
    """Return the classifier whose hidden units are the features."""
    study = jnn.Study(
        partial(LENET, 10),
        jnn.losses.softmax_cross_entropy,
        optax.adam(1e-3),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=64,
    )
    return jnn.run(study, data, directory=directory)


def make_study(loss: str, features: Callable, budget: Budget) -> jnn.Study:
    """Return the study of one loss."""
    pair, penalty = LOSSES[loss]
    looks = budget.epochs[1]
    return gan.Study(
        generator=partial(jnn.models.DCGANGenerator, SHAPE, noise=LATENT, width=WIDTH),
        discriminator=partial(jnn.models.DCGANDiscriminator, SHAPE, width=WIDTH, batch_norm=False),
        latent=LATENT,
        optimizers=(
            lambda h: optax.adam(h.rate, b1=0.5),
            lambda h: optax.adam(h.discriminator_rate, b1=0.5),
        ),
        loss=pair,
        penalty=penalty,
        hyper={"rate": 2e-4, "discriminator_rate": 2e-4},
        metrics={"frechet": gan.frechet(features)},
        samples=min(2500, budget.rows),
        evaluation_batch=500,
        epochs=looks,
        steps_per_epoch=budget.steps // looks,
        batch_size=BATCH,
    )


def scores_of(examples: np.ndarray, features: Callable, real: np.ndarray, rows: int) -> Scores:
    """Return the scores of one seed's examples beside the features of test images."""
    if not np.isfinite(examples).all():
        return Scores(*[np.nan] * 4)
    made = features_in_batches(features, examples)
    near = gan.precision_recall(real[:rows], made[:rows])
    coverage = gan.density_coverage(real[:rows], made[:rows]).coverage
    return Scores(gan.frechet_distance(real, made), *near, coverage)


def features_in_batches(features: Callable, x: np.ndarray) -> np.ndarray:
    """Return the features of many images."""
    return np.concatenate([features(x[i : i + 1000]) for i in range(0, len(x), 1000)])


def make_reference(data: jnn.Dataset, budget: Budget, directory: Path | None) -> Reference:
    """Train the classifier, and compare training images with test images."""
    test = images("test", budget.examples)
    classifier = trained_classifier(data, budget.epochs[0], directory)
    accuracy = float((classifier.predict(test.x).mean.argmax(-1) == test.y).mean())
    features = gan.features_of(classifier, partial(LENET, None))
    real = features_in_batches(features, test.x)
    distance = gan.frechet_distance(real, features_in_batches(features, data.x[: len(real)]))
    print(f"classifier: accuracy {accuracy:.4f}; distance of training images {distance:.3f}")
    return Reference(test, features, real, accuracy, distance)


def outcome_of(
    name: str, data: jnn.Dataset, reference: Reference, budget: Budget, directory: Path | None
) -> Outcome:
    """Search the learning rates of a loss, and train and score fresh seeds with them."""
    study, seed = make_study(name, reference.features, budget), jnn.seeds(1, first=SEARCH_SEED)
    rates = jnn.grid(
        rate=RATES[: budget.rates], discriminator_rate=DISCRIMINATOR_RATES[: budget.rates]
    )
    search = jnn.run(
        study, data, seed * rates, directory=directory and directory / f"{name}_search"
    )
    print(search.summary("train_frechet"), flush=True)
    best = jnn.grid(**{k: [v] for k, v in search.best("train_frechet").setting.items()})
    members = jnn.seeds(budget.seeds) * best
    result = jnn.run(study, data, members, directory=directory and directory / name)
    scores = [
        scores_of(examples, reference.features, reference.real, budget.neighbors)
        for examples in gan.sample(result, budget.examples)
    ]
    return Outcome(search, result, scores)


def rows_of(outcomes: dict[str, Outcome]) -> tuple[list[Row], dict[str, float]]:
    """Return the paired differences between losses as rows, and their p-values after Holm."""
    pairs = list(itertools.combinations(outcomes, 2))
    level = 1 - (1 - CONFIDENCE) / len(pairs)
    rows, p_values = [], []
    for a, b in pairs:
        first, second = outcomes[a].values(), outcomes[b].values()
        both = np.isfinite(first) & np.isfinite(second)
        first, second = first[both], second[both]
        difference, p_value, _ = stats.paired_comparison(first, second, confidence=level)
        rows.append(Row(f"{a} - {b}", first - second, 0.0, 0.0, interval=difference))
        p_values.append(p_value)
    names = [row.name for row in rows]
    return rows, dict(zip(names, stats.holm(p_values).tolist(), strict=True))


def spread_of(outcomes: dict[str, Outcome]) -> dict[str, float]:
    """Return standard deviations of the distance: of losses, of seeds, and of learning rates."""

    def within(groups: list[np.ndarray]) -> float:
        return float(np.sqrt(np.mean([np.nanvar(group, ddof=1) for group in groups])))

    seeds = [one.values() for one in outcomes.values()]
    rates = [one.search.final()["train_frechet"].values.ravel() for one in outcomes.values()]
    return {
        "between the means of losses": within([np.array([np.nanmean(each) for each in seeds])]),
        "between seeds of a loss": within(seeds),
        "between learning rates of a loss": within(rates) if len(rates[0]) > 1 else np.nan,
    }


def listed(scores) -> list:
    """Return the distances in a data set of scores as nested lists."""
    return scores["train_frechet"].values.tolist()


def draw(outcomes: dict[str, Outcome], test: jnn.Dataset, path: Path) -> None:
    """Draw the distances in the course of training, and images of each loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {name: one.result for name, one in outcomes.items()}
    result = jnn.Result.concat(list(results.values()), loss=list(results))
    figure = plots.learning_curves(result, "train_frechet")
    figure.axes[0].set(xlabel="fifths of the training", ylabel="squared Frechet distance")
    plots.write(figure, path.with_suffix(".png"))
    figure = plots.image_grid(
        np.stack([test.x[:12], *(gan.sample(one, 12)[0] for one in results.values())]),
        rows=["test images", *results],
        title="12 images by the first seed of each loss",
        low=-1,
        high=1,
    )
    plots.write(figure, path.with_name(f"{path.stem}_images.png"))


def main() -> None:
    """Search, train and score each loss, print the tables, and check the scores."""
    options = arguments(__doc__, list(LOSSES), keeps=True, seeds=6, steps=2000)
    budget = Budget(60_000, options.steps, options.seeds, 3, (3, 5), 10_000, 2_500)
    if options.quick:
        budget = Budget(1_000, 20, 4, 2, (1, 2), 500, 200)
    folder = options.directory
    data = images("train", budget.rows)
    reference = make_reference(data, budget, folder and folder / "classifier")
    outcomes = {}
    for name in options.names:
        outcomes[name] = outcome_of(name, data, reference, budget, folder)
        for score in Scores._fields:
            values = outcomes[name].values(score)
            interval = stats.t_interval(values[np.isfinite(values)])
            print(f"{name}, {score}: {interval}", flush=True)
    rows, p_values = rows_of(outcomes)
    spread = spread_of(outcomes)
    show(f"Differences of the squared Frechet distance, {budget.steps} steps", rows)
    print("p-values after Holm:", {name: round(p, 4) for name, p in p_values.items()})
    print("standard deviations:", {name: round(value, 3) for name, value in spread.items()})
    path = record_path("gan_losses", options)
    if path is not None:
        draw(outcomes, reference.test, path)
    save(
        "gan_losses", rows, options, seeds=budget.seeds, steps=budget.steps, holm=p_values,
        standard_deviations=spread, classifier_accuracy=reference.accuracy,
        training_images=reference.training_images,
        rates={name: one.rates for name, one in outcomes.items()},
        scores={name: [s._asdict() for s in one.scores] for name, one in outcomes.items()},
        searches={n: listed(one.search.final()) for n, one in outcomes.items()},
        curves={n: listed(one.result.scores) for n, one in outcomes.items()},
        not_run="100 settings a loss, 20 epochs, and the FID of Inception's features, as in the "
        "paper; losses with no penalty or with another discriminator",
    )  # fmt: skip
    worst = max(np.nanmean(one.values()) for one in outcomes.values())
    most = 300 if options.quick else 60
    assert worst < most, f"each loss must end at a distance below {most}, got {worst:.1f}"


if __name__ == "__main__":
    main()
