"""Reproduce Kim's convolutional network for sentences on movie reviews, one fold of ten.

    python examples/reproductions/mr_textcnn.py [--quick] [--folds N] [--output FILE]

Kim, Convolutional Neural Networks for Sentence Classification (2014,
https://arxiv.org/abs/1408.5882), CNN-rand on MR: 76.1 %, a mean of ten folds. As in the published
code (https://github.com/yoonkim/CNN_sentence): 25 epochs of batches of 50, Adadelta with rho 0.95,
dropout 0.5 before the last layer, whose columns are held to a norm of 3, kernels that start within
0.01, and a last layer that starts at zero; a tenth of the training rows chooses the epoch. That
code draws its folds at random, ours are stratified; it shuffles batches, ours shuffles rows.
"""

import time

import jax
import jax.numpy as jnp
import optax
from _record import Row, arguments, save, show
from flax import nnx

import jnn


def make_model(vocabulary: int, features: int = 300):
    """Make a factory of the network as Kim's code starts it."""

    def model(rngs: nnx.Rngs) -> nnx.Module:
        net = jnn.models.TextCNN(vocabulary, 2, features=features, rngs=rngs)
        for conv in net.convs:
            conv.kernel[...] = jax.random.uniform(
                rngs.params(), conv.kernel.shape, minval=-0.01, maxval=0.01
            )
        net.output.kernel[...] = jnp.zeros_like(net.output.kernel[...])
        # Kim's dropout masks in training and halves the values afterwards; jnn's doubles the values
        # that it keeps in training.
        net.output = nnx.Sequential(lambda values: values / 2, net.output)
        return net

    return model


def max_norm(limit: float) -> optax.GradientTransformation:
    """Change updates so that no column of an updated kernel [in, out] exceeds the norm."""

    def shorten(update, kernel):
        stepped = kernel + update
        length = jnp.sqrt(jnp.sum(stepped**2, axis=0))
        return stepped * jnp.minimum(1, limit / (length + 1e-7)) - kernel

    return optax.stateless(lambda updates, params: jax.tree.map(shorten, updates, params))


def is_last_kernel(params):
    """Mark the kernel of the last layer, and nothing else."""
    return jax.tree.map_with_path(
        lambda path, _: {"output", "kernel"} <= {p.key for p in path}, params
    )


def make_study(model, epochs: int, **settings) -> jnn.Study:
    """Make the study of the published code."""
    return jnn.Study(
        model=model,
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.chain(
            optax.adadelta(1.0, rho=0.95, eps=1e-6), optax.masked(max_norm(3.0), is_last_kernel)
        ),
        metrics={"accuracy": jnn.metrics.accuracy},
        epochs=epochs,
        batch_size=50,
        keep="best",
        validation=0.1,
        monitor="accuracy",
        **settings,
    )


def main() -> None:
    """Train, print the table, and check the score."""
    options = arguments(__doc__, folds=1)
    jnn.use_cpu_cores()
    data = jnn.data.load("rt_polarity")
    data = data.take(slice(None, None, 10)) if options.quick else data
    members = jnn.folds(10)[: options.folds]
    study = make_study(make_model(int(data.x.max()) + 1), 4 if options.quick else 25)
    start = time.perf_counter()
    result = jnn.run(study, data, members)
    seconds = time.perf_counter() - start
    accuracy = result.final()["accuracy"].values
    tested = sum(len(test) for *_, test in members.split.rows(data)[: options.folds])
    share = jnn.stats.proportion_interval(round(float(accuracy.mean()) * tested), tested)
    interval = share._replace(mean=100 * share.mean, low=100 * share.low, high=100 * share.high)
    rows = [Row("CNN-rand", 100 * accuracy, 76.1, rounding=0.05, interval=interval)]
    show(f"MR, accuracy in % on the test rows of {len(members)} of 10 folds", rows)
    print(f"{seconds:.0f} s; best epochs {result.scores['best_epoch'].values.tolist()}")
    not_run = (
        f"{10 - len(members)} of 10 folds, for time; the interval is that of a share of {tested} "
        "test rows"
    )
    save(
        "mr_textcnn",
        rows,
        options,
        seconds=seconds,
        epochs=study.epochs,
        folds=len(members),
        not_run=not_run,
    )
    if options.quick:  # too short for a score on test rows
        loss = float(result.scores["train_loss"][..., -1].mean())
        assert loss < 0.688, (
            f"training loss must be below 0.688, where guessing has 0.693, got {loss:.4f}"
        )
    else:
        assert accuracy.mean() > 0.7, f"accuracy must be above 70 %, got {rows[0].ours}"


if __name__ == "__main__":
    main()
