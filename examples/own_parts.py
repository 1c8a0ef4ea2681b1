"""Train a study with your own model, loss, metric and data: any pure function fits.

    python examples/own_parts.py [--quick]

A network written as two plain functions learns y = |x_1| + x_2 x_3 from rows with heavy-tailed
noise. Two losses are compared on the same seeds and folds: the squared error, and Cauchy's, which
tolerates outliers.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jnn


def init(key, x):
    """Draw the parameters of a network with one hidden layer of 32 units, for x [batch, 3]."""
    hidden_key, output_key = jax.random.split(key)
    draw = jnn.initializers.he_normal()
    return {
        "hidden": {"kernel": draw(hidden_key, (x.shape[-1], 32)), "bias": jnp.zeros(32)},
        "output": {"kernel": draw(output_key, (32, 1)), "bias": jnp.zeros(1)},
    }


def apply(params, x):
    """Map rows [batch, 3] to predictions [batch, 1]."""
    hidden = jnn.layers.gelu(jnn.layers.dense(x, **params["hidden"]))
    return jnn.layers.dense(hidden, **params["output"])


def cauchy(predictions, targets):
    """Return log(1 + error^2 / scale^2) per example, with scale 0.1."""
    return jnp.log1p(((predictions - targets) / 0.1) ** 2).mean(axis=-1)


def count_hits(sums, predictions, targets, weights=None):
    """Add the rows that are predicted to within 0.1 to the sums."""
    hits = (jnp.abs(predictions - targets) < 0.1).astype(jnp.float32).mean(axis=-1)
    weights = jnp.ones_like(hits) if weights is None else weights
    return {"hits": sums["hits"] + jnp.sum(hits * weights), "rows": sums["rows"] + jnp.sum(weights)}


within = jnn.metrics.Metric(
    init=lambda: {"hits": jnp.zeros(()), "rows": jnp.zeros(())},
    update=count_hits,
    value=lambda sums: sums["hits"] / sums["rows"],
    higher_is_better=True,
    task="regression",
)


def make_data(rows: int) -> jnn.Dataset:
    """Draw rows whose targets have heavy-tailed noise: a t distribution, 1.5 degrees of freedom."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (rows, 3))
    y = np.abs(x[:, 0]) + x[:, 1] * x[:, 2] + 0.05 * random.standard_t(1.5, rows)
    return jnn.Dataset.from_arrays(x, y, name="heavy tails")


def main() -> None:
    """Train with both losses, print the scores, and check that the robust loss is better."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train 2 seeds, not 5")
    is_quick = parser.parse_args().quick
    jnn.use_cpu_cores()
    data = make_data(2000)
    members = jnn.seeds(2 if is_quick else 5) * jnn.folds(4)
    metrics = {"within 0.1": within, "mae": jnn.metrics.mae}
    scores = {}
    for name, loss in {"squared error": jnn.losses.squared_error, "Cauchy": cauchy}.items():
        study = jnn.Study((init, apply), loss, optax.adam(0.01), metrics, epochs=40)
        result = jnn.run(study, data, members)
        print(f"{name}\n{result.summary()}\n")
        scores[name] = result.final()["within 0.1"].values
    train_rows = 3 * data.rows / 4
    test_rows = data.rows / 4
    comparison = jnn.stats.paired_comparison(
        scores["Cauchy"], scores["squared error"], train_rows, test_rows
    )
    print(f"rows within 0.1, Cauchy - squared error: {comparison}")
    assert comparison.difference.mean > 0.05, f"the robust loss must be better, got {comparison}"


if __name__ == "__main__":
    main()
