"""Classify images with a population of seeds, and see what their ensemble gains.

    python examples/images.py [digits | fashion_mnist | cifar10] [--figure mistakes.png] [--quick]

Digits come with scikit-learn; the others are downloaded, or read from the folder JNN_DATA. On two
CPU cores digits take half a minute and Fashion-MNIST about ten minutes. CIFAR-10 (a ResNet-20 with
flips and crops) needs an accelerator. The figure has the classes that the ensemble confuses most,
and the images that it is surest of and wrong about.
"""

import argparse
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import optax

import jnn
from jnn import plots


class Experiment(NamedTuple):
    """What is trained, and on what."""

    study: jnn.Study
    data: jnn.Dataset
    members: jnn.Members


def digits(is_quick: bool) -> Experiment:
    """Set up 8x8 pixels with a fifth of the rows held out, with and without dropout."""
    flat = jnn.data.load("digits")
    data = jnn.Dataset.from_arrays(flat.x.reshape(-1, 8, 8, 1), flat.y, name="digits")
    model = partial(jnn.models.LeNet, (8, 8, 1), 10, maps=(16, 32), hidden=64, dropout_rate=0.0)
    study = make_study(model, epochs=6 if is_quick else 20, optimizer=optax.adam(3e-3))
    settings = jnn.grid(dropout_rate=[0.0, 0.3])
    members = jnn.seeds(3 if is_quick else 10) * jnn.holdout(0.2) * settings
    return Experiment(study, data, members)


def fashion_mnist(is_quick: bool) -> Experiment:
    """Set up 28x28 pixels with the published split.

    The table of the data set lists 0.916 to 0.925 for networks of two convolutions.
    """
    data = jnn.data.load("fashion_mnist", split="all")
    model = partial(jnn.models.LeNet, (28, 28, 1), 10, maps=(32, 64), hidden=128, dropout_rate=0.3)
    epochs = 1 if is_quick else 10
    study = make_study(model, epochs=epochs, optimizer=optax.adam(1e-3), batch_size=128)
    members = jnn.seeds(2 if is_quick else 3) * jnn.folds(data.splits)
    return Experiment(study, data, members)


def cifar10(is_quick: bool) -> Experiment:
    """Set up 32x32 pixels with the published split; ResNet-20 after He et al. 2015.

    They give 91.25 % after 64 000 steps.
    """
    data = jnn.data.load("cifar10", split="all")
    epochs = 1 if is_quick else 160
    rate = optax.cosine_decay_schedule(0.1, epochs * 391)
    study = make_study(
        partial(jnn.models.ResNet, 3, 10, depth=20),
        epochs=epochs,
        optimizer=optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(rate, momentum=0.9)),
        batch_size=128,
        inputs=jnn.preprocess.standardize,
    )
    members = jnn.seeds(1 if is_quick else 3) * jnn.folds(data.splits)
    return Experiment(study, data, members)


def make_study(model, **settings) -> jnn.Study:
    """Make a study with what all sets have in common: loss, accuracy, and moved training images."""
    return jnn.Study(
        model,
        jnn.losses.softmax_cross_entropy,
        metrics={"accuracy": jnn.metrics.accuracy},
        augment=move,
        **settings,
    )


def move(batch: jnn.Batch, *, key: jax.Array) -> jnn.Batch:
    """Move each image by up to an eighth of its height.

    Color images, which show no text, are also mirrored at random.
    """
    flip_key, crop_key = jax.random.split(key)
    x = batch.x
    if x.shape[-1] == 3:
        x = jnn.augment.flip(x, key=flip_key)
    return batch._replace(x=jnn.augment.crop(x, x.shape[1] // 8, key=crop_key))


def draw_mistakes(data: jnn.Dataset, test: np.ndarray, chances: np.ndarray, path: str) -> None:
    """Draw the five most frequent confusions of classes, and of each the surest images.

    Args:
        data: The images.
        test: Rows that were held out.
        chances: Of each class, as the ensemble predicts them [test rows, classes].
        path: File to write.
    """
    names = data.target_names or [str(label) for label in range(data.outputs)]
    labels, answers = data.y[test], chances.argmax(-1)
    wrong = np.flatnonzero(answers != labels)
    pairs, counts = np.unique(np.stack([labels[wrong], answers[wrong]]), axis=1, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:5]
    height, width, channels = data.x.shape[1:]
    shape = (len(most), min(8, counts.max(initial=1)), height + 1, width + 1, channels)
    images = np.full(shape, np.nan, np.float32)  # with a gap between them
    for row, (label, answer) in enumerate(pairs[:, most].T):
        same = wrong[(labels[wrong] == label) & (answers[wrong] == answer)]
        surest = same[np.argsort(-chances[same, answer])][: images.shape[1]]
        images[row, : len(surest), :-1, :-1] = data.x[test[surest]]
    rows = [
        f"{names[label]} taken for {names[answer]}: {count}"
        for (label, answer), count in zip(pairs[:, most].T, counts[most], strict=True)
    ]
    title = f"{data.name}: {len(wrong)} mistakes in {len(test)} test images, the surest first"
    plots.write(plots.image_grid(images, rows=rows, title=title), path)


EXPERIMENTS = {"digits": digits, "fashion_mnist": fashion_mnist, "cifar10": cifar10}
LEAST_ACCURACY = {  # quick, whole
    "digits": (0.88, 0.96),
    "fashion_mnist": (0.8, 0.9),
    "cifar10": (0.3, 0.9),
}


def main() -> None:
    """Train, print the scores of members and ensemble, and check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", choices=EXPERIMENTS, default="digits")
    parser.add_argument("--figure", help="file for the images that are taken for another class")
    parser.add_argument("--quick", action="store_true", help="train on a budget of seconds")
    arguments = parser.parse_args()
    jnn.use_cpu_cores()
    study, data, members = EXPERIMENTS[arguments.data](arguments.quick)
    result = jnn.run(study, data, members)
    print(result.summary())
    test = members.split.rows(data)[0].test
    chances = result.predict(data.x[test], each=False).mean
    ensemble = np.mean(chances.argmax(-1) == data.y[test])
    single = result.final()["accuracy"].mean().item()
    print(f"mean of {len(members)} members {single:.4f}, their ensemble {ensemble:.4f}")
    if arguments.figure:
        draw_mistakes(data, test, chances, arguments.figure)
    least = LEAST_ACCURACY[arguments.data][0 if arguments.quick else 1]
    assert single > least, f"accuracy must be above {least}, got {single:.3f}"


if __name__ == "__main__":
    main()
