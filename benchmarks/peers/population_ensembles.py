"""All networks at once, in a Python loop over steps: PyTorch, Flax Linen and Equinox."""

from collections.abc import Callable

import numpy as np

from benchmarks.work import LEARNING_RATE, Budget, Workload

Job = Callable[[int], list[float]]


def torch(work: Workload, budget: Budget) -> Job:
    """PyTorch: stacked parameters, `torch.func.vmap` of `grad`, one fused Adam."""
    import torch
    from torch import func
    from torch.nn import functional as F

    from benchmarks.peers import nets_torch

    device = nets_torch.DEVICE
    x, y = nets_torch.tensors(work.train_x, work.train_y)
    test_x, test_y = nets_torch.tensors(work.test_x, work.test_y)

    def make_net():
        if work.network == "lenet":
            return nets_torch.lenet()
        return nets_torch.mlp(sizes=work.sizes)

    skeleton = make_net().to("meta")

    def loss(params, x, y):
        return F.cross_entropy(func.functional_call(skeleton, params, (x,)), y)

    gradients = func.vmap(func.grad(loss))

    def update(params, x, y, optimizer):
        detached = {name: value.detach() for name, value in params.items()}
        for name, gradient in gradients(detached, x, y).items():
            params[name].grad = gradient
        optimizer.step()

    @torch.inference_mode()
    def accuracies(params):
        detached = {name: value.detach() for name, value in params.items()}
        logits = func.vmap(lambda p: func.functional_call(skeleton, p, (test_x,)))(detached)
        return (logits.argmax(-1) == test_y).float().mean(1).tolist()

    def job(first_seed):
        torch.manual_seed(first_seed)
        nets = [make_net().to(device) for _ in range(budget.members)]
        params, _ = func.stack_module_state(nets)
        optimizer = torch.optim.Adam(params.values(), lr=LEARNING_RATE, fused=True)
        for _ in range(budget.epochs):
            order = torch.rand(budget.members, len(x), device=device).argsort(1)
            for rows in order.split(budget.batch_size, dim=1):  # [members, batch]
                update(params, x[rows], y[rows], optimizer)
        return accuracies(params)

    return job


def linen(work: Workload, budget: Budget) -> Job:
    """Flax Linen: the obvious `jax.vmap` of the train step, jitted."""
    import jax
    import optax

    from benchmarks.peers import nets_linen

    net = nets_linen.lenet() if work.network == "lenet" else nets_linen.mlp(sizes=work.sizes)
    rows = (work.train_x, work.train_y, work.test_x, work.test_y)
    x, y, test_x, test_y = map(jax.numpy.asarray, rows)
    optimizer = optax.adam(LEARNING_RATE)
    start = jax.jit(jax.vmap(lambda key: nets_linen.start(net, optimizer, key, x[:1])))
    accuracies = jax.jit(jax.vmap(nets_linen.accuracy, (0, None, None)))

    def step_one(state, x, y, rows):
        return nets_linen.update(state, x[rows], y[rows])[0]

    step = jax.jit(jax.vmap(step_one, (0, None, None, 0)), donate_argnums=0)

    def job(first_seed):
        state = start(_keys(first_seed, budget))
        for rows in _shuffled_batches(first_seed, len(x), budget):
            state = step(state, x, y, rows)
        return np.asarray(accuracies(state, test_x, test_y)).tolist()

    return job


def equinox(work: Workload, budget: Budget) -> Job:
    """Equinox: `filter_vmap` over models inside a `filter_jit` step that donates its state."""
    import equinox as eqx
    import jax

    from benchmarks.peers import nets_equinox

    rows = (work.train_x, work.train_y, work.test_x, work.test_y)
    x, y, test_x, test_y = map(jax.numpy.asarray, rows)
    start = eqx.filter_jit(eqx.filter_vmap(lambda key: nets_equinox.start_lecun(key, work.sizes)))

    @eqx.filter_jit(donate="all-except-first")
    def step(batches, state):
        x, y, rows = batches

        @eqx.filter_vmap(in_axes=(eqx.if_array(0), 0))
        def update(member, rows):
            return nets_equinox.update(member, x[rows], y[rows])

        return update(state, rows)

    @eqx.filter_jit
    def accuracies(nets, x, y):
        in_axes = (eqx.if_array(0), None, None)
        return eqx.filter_vmap(nets_equinox.accuracy, in_axes=in_axes)(nets, x, y)

    def job(first_seed):
        state = start(_keys(first_seed, budget))
        for rows in _shuffled_batches(first_seed, len(x), budget):
            state = step((x, y, rows), state)
        return np.asarray(accuracies(state[0], test_x, test_y)).tolist()

    return job


def _keys(first_seed, budget):
    import jax

    return jax.vmap(jax.random.key)(np.arange(first_seed, first_seed + budget.members))


def _shuffled_batches(seed: int, rows: int, budget: Budget):
    """Yield the row numbers [members, batch] of every batch, shuffled once an epoch."""
    random = np.random.default_rng(seed)
    every = np.tile(np.arange(rows, dtype=np.int32), (budget.members, 1))
    for _ in range(budget.epochs):
        order = random.permuted(every, axis=1)
        yield from np.split(order, range(budget.batch_size, rows, budget.batch_size), axis=1)
