"""The networks of MNIST-1D, trained in the order of the rows: jnn, PyTorch and Flax Linen.

Batches are slices, nothing is gathered; Adam has the rate 1e-2 of the published runs.
"""

from benchmarks.work import Budget, Workload

_RATE = 1e-2
_NAMES = {"logistic": "logistic", "mlp": "MLP", "cnn": "CNN", "gru": "GRU"}


def jnn(work: Workload, budget: Budget):
    """jnn: a population of the reproduction's own network."""
    import optax

    import jnn
    from benchmarks.examples import load_reproduction
    from benchmarks.peers.population import schedule

    jnn.use_cpu_cores()
    train = jnn.Dataset.from_arrays(work.train_x, work.train_y)
    test = jnn.Dataset.from_arrays(work.test_x, work.test_y)
    study = jnn.Study(
        model=load_reproduction("mnist1d").MODELS[_NAMES[work.network]],
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(_RATE),
        metrics={"accuracy": jnn.metrics.accuracy},
        order="sequential",
        **schedule(budget),
    )

    def job(first_seed):
        members = jnn.seeds(budget.members, first=first_seed)
        result = jnn.run(study, train, members, test=test)
        return result.final()["accuracy"].values.tolist()

    return job


def torch(work: Workload, budget: Budget):
    """PyTorch: one network after the other, from its own initial values, eager, fused Adam."""
    import torch
    from torch.nn import functional as F

    from benchmarks.peers import nets_torch
    from benchmarks.peers.population_loops import train_each

    x, y = nets_torch.tensors(work.train_x, work.train_y)
    batches = list(zip(x.split(budget.batch_size), y.split(budget.batch_size), strict=True))

    def train(seed):
        torch.manual_seed(seed)
        net = nets_torch.MNIST1D[work.network]()
        optimizer = torch.optim.Adam(net.parameters(), lr=_RATE, fused=True)
        for rows, labels in budget.epochs * batches:
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(rows), labels).backward()
            optimizer.step()
        return nets_torch.accuracy(net, work)

    return train_each(train, budget)


def linen(work: Workload, budget: Budget):
    """Flax Linen: one network after the other, a jitted step in a Python loop."""
    import jax
    import jax.numpy as jnp
    import optax

    from benchmarks.peers import nets_linen
    from benchmarks.peers.population_loops import train_each

    net = nets_linen.MNIST1D[work.network]()
    rows = (work.train_x, work.train_y, work.test_x, work.test_y)
    x, y, test_x, test_y = map(jnp.asarray, rows)
    parts = len(x) // budget.batch_size
    batches = list(zip(jnp.split(x, parts), jnp.split(y, parts), strict=True))
    optimizer = optax.adam(_RATE)
    start = jax.jit(lambda key: nets_linen.start(net, optimizer, key, x[:1]))
    accuracy = jax.jit(nets_linen.accuracy)
    step = jax.jit(lambda state, x, y: nets_linen.update(state, x, y)[0], donate_argnums=0)

    def train(seed):
        state = start(jax.random.key(seed))
        for batch in budget.epochs * batches:
            state = step(state, *batch)
        return float(accuracy(state, test_x, test_y))

    return train_each(train, budget)
