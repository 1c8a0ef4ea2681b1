"""One network after the other: PyTorch, Flax Linen, Equinox, Keras and scikit-learn."""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.work import LEARNING_RATE, Budget, Workload

Job = Callable[[int], list[float]]


def torch(work: Workload, budget: Budget) -> Job:
    """PyTorch, eager."""
    import torch

    from benchmarks.peers import nets_torch

    def make_net():
        if work.network == "lenet":
            return nets_torch.lenet().to(memory_format=torch.channels_last)
        return nets_torch.mlp(sizes=work.sizes)

    def train(seed):
        torch.manual_seed(seed)
        return nets_torch.train(make_net().to(nets_torch.DEVICE), work, budget)

    return train_each(train, budget)


def linen(work: Workload, budget: Budget) -> Job:
    """Flax Linen: a jitted train step over `TrainState`, which it donates, in a Python loop."""
    import jax
    import optax

    from benchmarks.peers import nets_linen

    net = nets_linen.lenet() if work.network == "lenet" else nets_linen.mlp(sizes=work.sizes)
    rows = (work.train_x, work.train_y, work.test_x, work.test_y)
    x, y, test_x, test_y = map(jax.numpy.asarray, rows)
    optimizer = optax.adam(LEARNING_RATE)
    start = jax.jit(lambda key: nets_linen.start(net, optimizer, key, x[:1]))
    accuracy = jax.jit(nets_linen.accuracy)

    @partial(jax.jit, donate_argnums=0)
    def step(state, x, y, rows):
        return nets_linen.update(state, x[rows], y[rows])[0]

    def train(seed):
        state = start(jax.random.key(seed))
        for rows in shuffled_batches(seed, len(x), budget):
            state = step(state, x, y, rows)
        return float(accuracy(state, test_x, test_y))

    return train_each(train, budget)


def equinox(work: Workload, budget: Budget) -> Job:
    """Equinox: a `filter_jit` step that donates its state, in a Python loop."""
    import equinox as eqx
    import jax

    from benchmarks.peers import nets_equinox

    rows = (work.train_x, work.train_y, work.test_x, work.test_y)
    x, y, test_x, test_y = map(jax.numpy.asarray, rows)
    start = eqx.filter_jit(lambda key: nets_equinox.start_lecun(key, work.sizes))
    accuracy = eqx.filter_jit(nets_equinox.accuracy)

    @eqx.filter_jit(donate="all-except-first")
    def step(batch, state):
        x, y, rows = batch
        return nets_equinox.update(state, x[rows], y[rows])

    def train(seed):
        state = start(jax.random.key(seed))
        for rows in shuffled_batches(seed, len(x), budget):
            state = step((x, y, rows), state)
        return float(accuracy(state[0], test_x, test_y))

    return train_each(train, budget)


def keras(work: Workload, budget: Budget) -> Job:
    """Keras on JAX: one compiled model whose weights and optimizer are reset for each member.

    The reset spares Keras a compilation for each member; one epoch in `steps_per_execution` spares
    it its callbacks.
    """
    import keras

    *hidden, outputs = work.sizes[1:]

    def make_model():
        lecun = {"kernel_initializer": "lecun_normal"}
        layers = [keras.layers.Dense(n, "relu", **lecun) for n in hidden]
        output = keras.layers.Dense(outputs, **lecun)
        return keras.Sequential([keras.Input((work.sizes[0],)), *layers, output])

    model = make_model()
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=work.steps_per_epoch(budget.batch_size),
    )

    def reset():
        model.set_weights(make_model().get_weights())
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def train(seed):
        keras.utils.set_random_seed(seed)
        reset()
        sizes = {"batch_size": budget.batch_size, "epochs": budget.epochs}
        model.fit(work.train_x, work.train_y, **sizes, verbose=0)
        logits = model.predict(work.test_x, batch_size=len(work.test_x), verbose=0)
        return float(np.mean(logits.argmax(-1) == work.test_y))

    return train_each(train, budget)


def scikit_learn(work: Workload, budget: Budget) -> Job:
    """Scikit-learn's MLPClassifier: no penalty, no early stopping, float32 rows.

    It draws its initial values from Glorot's uniform distribution; there is no other choice.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def train(seed):
        net = MLPClassifier(
            work.sizes[1:-1],
            alpha=0.0,
            batch_size=budget.batch_size,
            learning_rate_init=LEARNING_RATE,
            max_iter=budget.epochs,
            tol=0.0,
            n_iter_no_change=budget.epochs + 1,
            random_state=seed,
        )
        with warnings.catch_warnings():
            # The number of epochs is fixed, so that no fit converges.
            warnings.simplefilter("ignore", ConvergenceWarning)
            net.fit(work.train_x, work.train_y)
        return float(net.score(work.test_x, work.test_y))

    return train_each(train, budget)


def train_each(train: Callable[[int], float], budget: Budget) -> Job:
    """Return a job that trains one member after the other by `train(seed) -> score`."""

    def job(first_seed):
        return [train(seed) for seed in range(first_seed, first_seed + budget.members)]

    return job


def shuffled_batches(seed: int, rows: int, budget: Budget):
    """Yield the row numbers of every batch, shuffled once an epoch."""
    random = np.random.default_rng(seed)
    for _ in range(budget.epochs):
        order = random.permutation(rows).astype(np.int32)
        yield from np.split(order, range(budget.batch_size, rows, budget.batch_size))
