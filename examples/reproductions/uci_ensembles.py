"""Reproduce deep ensembles on UCI regression: 5 networks on each of 20 splits.

    python examples/reproductions/uci_ensembles.py [boston concrete energy yacht] [--quick]
                                                   [--output FILE]

Lakshminarayanan, Pritzel and Blundell, Simple and Scalable Predictive Uncertainty Estimation using
Deep Ensembles (2017, https://arxiv.org/abs/1612.01474), Table 1. Each network predicts a mean and a
variance, learns from its rows and from adversarial ones a hundredth of a feature's range away, and
starts as Torch draws its layers. The paper's learning rate of Adam is 0.1, at which single networks
diverge; 0.01 is reported beside it. On yacht at 0.01, four draws of the same in PyTorch gave an
RMSE of 1.03 to 1.13 and a negative log-likelihood of 1.21 to 1.31, as here.

The paper's spreads are standard deviations over the 20 splits; here they are divided by sqrt(20).
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _record import Row, arguments, save, show
from _torch_layer import draw

import jnn
from jnn.layers import dense, relu

NETWORKS = 5
RATES = [0.1, 0.01]
PAPER = {  # RMSE, its deviation over splits, negative log-likelihood, its deviation
    "boston": (3.28, 1.00, 2.41, 0.25),
    "concrete": (6.03, 0.58, 3.06, 0.18),
    "energy": (2.09, 0.29, 1.38, 0.22),
    "yacht": (1.58, 0.48, 1.18, 0.21),
}


def init(key, x):
    """Draw layers features -> 50 -> 2."""
    hidden, output = jax.random.split(key)
    return {"hidden": draw(hidden, x.shape[-1], 50), "output": draw(output, 50, 2)}


def apply(params, x):
    """Map rows to [batch, 2]: the mean, and a number whose softplus is the variance."""
    return dense(relu(dense(x, **params["hidden"])), **params["output"])


def variance(outputs):
    """Return softplus(last output) + 1e-6."""
    return jax.nn.softplus(outputs[..., 1]) + 1e-6


def negative_log_likelihood(outputs, targets):
    """Return (log v + (t - m)^2 / v + log 2 pi) / 2 per row."""
    v = variance(outputs)
    return (
        jnp.log(v) + (targets.reshape(v.shape) - outputs[..., 0]) ** 2 / v + jnp.log(2 * jnp.pi)
    ) / 2


def make_objective(ranges):
    """Make the loss of each row plus that of its adversarial neighbor.

    The neighbor is x + 0.01 range sign(gradient of the loss with respect to x).
    """

    def objective(forward, batch):
        def losses(x):
            outputs, model_state = forward(x)
            return negative_log_likelihood(outputs, batch.y), model_state

        clean, pull_back, model_state = jax.vjp(losses, batch.x, has_aux=True)
        (gradient,) = pull_back(jnp.ones_like(clean))
        attacked = jax.lax.stop_gradient(batch.x + 0.01 * ranges * jnp.sign(gradient))
        return clean + losses(attacked)[0], model_state

    return objective


def ensemble(result: jnn.Result, data, folds) -> tuple[np.ndarray, np.ndarray]:
    """Return RMSE and NLL [splits, rates] of the ensembles.

    The mixture of the networks of one split is taken as a normal distribution.
    """
    shape = result.members.shape  # seeds, splits, rates
    outputs = result.outputs(data.x).reshape(*shape, data.rows, 2)
    shift, scale = (
        a.reshape(*shape, 1) for a in result.trained.scale[1]
    )  # of the targets, undone for the variance
    outputs[..., 1] = (outputs[..., 1] - shift) / scale
    means, variances = outputs[..., 0], np.asarray(variance(outputs)) * scale**2
    mean, second = means.mean(axis=0), (variances + means**2).mean(axis=0)  # [splits, rates, rows]
    spread = second - mean**2
    nll = (np.log(2 * np.pi * spread) + (data.y - mean) ** 2 / spread) / 2
    held_out = [rows for _, rows in folds]
    rmse = [
        np.sqrt(((data.y - mean[i]) ** 2)[:, rows].mean(axis=1)) for i, rows in enumerate(held_out)
    ]
    return np.stack(rmse), np.stack(
        [nll[i][:, rows].mean(axis=1) for i, rows in enumerate(held_out)]
    )


def reproduce(name: str, epochs: int, splits: int) -> tuple[list[Row], dict]:
    """Train the networks of one data set: 5 networks x 20 splits x 2 learning rates."""
    data = jnn.data.load(name)
    folds = data.splits[:splits]
    study = jnn.Study(
        (init, apply),
        negative_log_likelihood,
        lambda h: optax.adam(h.learning_rate),
        objective=make_objective(np.ptp(data.x, axis=0)),
        inputs=jnn.preprocess.standardize,
        targets=jnn.preprocess.standardize,
        epochs=epochs,
        batch_size=100,
    )
    start = time.perf_counter()
    result = jnn.run(
        study, data, jnn.seeds(NETWORKS) * jnn.folds(folds) * jnn.grid(learning_rate=RATES)
    )
    rmse, nll = ensemble(result, data, folds)
    paper_rmse, rmse_spread, paper_nll, nll_spread = PAPER[name]
    rows = []
    for i, rate in enumerate(RATES):
        rows.append(
            Row(
                f"{name}, Adam {rate:g}, RMSE", rmse[:, i], paper_rmse, rmse_spread / 20**0.5, 0.005
            )
        )
        rows.append(
            Row(f"{name}, Adam {rate:g}, NLL", nll[:, i], paper_nll, nll_spread / 20**0.5, 0.005)
        )
    return rows, {
        "seconds": time.perf_counter() - start,
        **result.timing,
        "networks": len(result.members),
    }


def main() -> None:
    """Train the ensembles of the chosen data sets, print the table, and check the scores."""
    options = arguments(__doc__, names=list(PAPER))
    jnn.use_cpu_cores()
    epochs, splits = (10, 3) if options.quick else (40, 20)
    rows, about = [], {}
    for name in options.names:
        found, about[name] = reproduce(name, epochs, splits)
        rows += found
    show(f"Deep ensembles of {NETWORKS}, {epochs} epochs", rows)
    print({name: f"{run['seconds']:.1f} s" for name, run in about.items()})
    not_run = f"{sorted(set(PAPER) - set(options.names))} and the other sets of the paper"
    save("uci_ensembles", rows, options, epochs=epochs, runs=about, not_run=not_run)
    for row in rows:
        if "0.01" in row.name and "RMSE" in row.name:
            deviation = jnn.data.load(row.name.split(",")[0]).y.std()
            assert row.ours.mean < deviation, (
                f"{row.name} must be below {deviation:.3g}, that of a constant, got {row.ours}"
            )


if __name__ == "__main__":
    main()
