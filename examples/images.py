"""Image classification: digits, Fashion-MNIST or CIFAR-10, seeds as one population, and what their ensemble gains.

    python examples/images.py [digits | fashion_mnist | cifar10] [--quick]

Digits come with scikit-learn; the others are fetched, or found in the folder JNN_DATA. On two CPU cores digits take
half a minute and Fashion-MNIST some ten; CIFAR-10 (a ResNet-20 with flips and crops) wants an accelerator.
"""

import argparse
from functools import partial

import jax
import numpy as np
import optax

import jnn


def digits(quick: bool) -> tuple[jnn.Dataset, jnn.Members, jnn.Study]:
    """8x8 pixels, a fifth of the rows held out; with and without dropout."""
    flat = jnn.data.load("digits")
    data = jnn.Dataset.from_arrays(flat.x.reshape(-1, 8, 8, 1), flat.y, name="digits")
    model = partial(jnn.models.LeNet, (8, 8, 1), 10, maps=(16, 32), hidden=64, dropout_rate=0.0)
    members = jnn.seeds(3 if quick else 10) * jnn.holdout(0.2) * jnn.grid(dropout_rate=[0.0, 0.3])
    return data, members, study(model, epochs=6 if quick else 20, optimizer=optax.adam(3e-3))


def fashion_mnist(quick: bool) -> tuple[jnn.Dataset, jnn.Members, jnn.Study]:
    """28x28 pixels, the published split; two convolutions, 0.916 to 0.925 in the data set's table for such networks."""
    data = jnn.data.load("fashion_mnist", split="all")
    model = partial(jnn.models.LeNet, (28, 28, 1), 10, maps=(32, 64), hidden=128, dropout_rate=0.3)
    members = jnn.seeds(2 if quick else 3) * jnn.folds(data.splits)
    return (
        data,
        members,
        study(model, epochs=1 if quick else 10, optimizer=optax.adam(1e-3), batch_size=128),
    )


def cifar10(quick: bool) -> tuple[jnn.Dataset, jnn.Members, jnn.Study]:
    """32x32 pixels, the published split; ResNet-20 after He et al. 2015 (91.25 % after 64 000 steps)."""
    data = jnn.data.load("cifar10", split="all")
    epochs = 1 if quick else 160
    rate = optax.cosine_decay_schedule(0.1, epochs * 391)
    optimizer = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(rate, momentum=0.9))
    model = partial(jnn.models.ResNet, 3, 10, depth=20)
    members = jnn.seeds(1 if quick else 3) * jnn.folds(data.splits)
    made = study(
        model, epochs=epochs, optimizer=optimizer, batch_size=128, inputs=jnn.preprocess.standardize
    )
    return data, members, made


def study(model, **settings) -> jnn.Study:
    """What the three have in common: shifted images while training, accuracy on the held-out ones."""
    metrics = {"accuracy": jnn.metrics.accuracy}
    return jnn.Study(
        model, jnn.losses.softmax_cross_entropy, metrics=metrics, augment=shifted, **settings
    )


def shifted(batch: jnn.Batch, *, key: jax.Array) -> jnn.Batch:
    """Each image moved by up to an eighth of its height; colour images, which nobody reads, also mirrored."""
    flip_key, crop_key = jax.random.split(key)
    x = jnn.augment.flip(batch.x, key=flip_key) if batch.x.shape[-1] == 3 else batch.x
    return batch._replace(x=jnn.augment.crop(x, x.shape[1] // 8, key=crop_key))


SETS = {"digits": digits, "fashion_mnist": fashion_mnist, "cifar10": cifar10}
LEAST = {
    "digits": (0.88, 0.96),
    "fashion_mnist": (0.8, 0.9),
    "cifar10": (0.3, 0.9),
}  # accuracy: quick, whole


def main() -> None:
    """Trains, prints members and ensemble, checks the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", choices=SETS, default="digits")
    parser.add_argument(
        "--quick", action="store_true", help="a small budget, to see that everything runs"
    )
    arguments = parser.parse_args()
    jnn.use_cpu_cores()
    data, members, made = SETS[arguments.data](arguments.quick)
    result = jnn.run(made, data, members)
    print(result.summary())
    test = members.split.rows(data)[0].test
    ensemble = np.mean(result.predict(data.x[test], each=False).mean.argmax(-1) == data.y[test])
    single = result.final()["accuracy"].mean().item()
    print(
        f"mean of {len(members)} members {single:.4f}, their ensemble {ensemble:.4f}, on {len(test)} test images"
    )
    least = LEAST[arguments.data][not arguments.quick]
    assert single > least, f"wanted an accuracy above {least}, but got {single:.3f}"


if __name__ == "__main__":
    main()
