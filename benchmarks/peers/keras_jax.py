"""Keras 3 on its JAX backend: one compiled model whose weights and optimizer are reset for each member.

Resetting spares Keras a compilation per member, and one epoch per `steps_per_execution` spares it its callbacks.
"""

from collections.abc import Callable

import keras
import numpy as np

from benchmarks.workloads import LEARNING_RATE, Budget, Workload, steps_per_epoch


def digits(work: Workload, budget: Budget) -> Callable[[int], list[float]]:
    model = _mlp(work.sizes)
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=steps_per_epoch(work, budget.batch_size),
    )

    def train(seed):
        keras.utils.set_random_seed(seed)
        _reset(model, _mlp(work.sizes).get_weights())
        model.fit(
            work.train_x,
            work.train_y,
            batch_size=budget.batch_size,
            epochs=budget.epochs,
            verbose=0,
        )
        labels = model.predict(work.test_x, batch_size=len(work.test_x), verbose=0).argmax(-1)
        return float(np.mean(labels == work.test_y))

    return lambda first_seed: [
        train(seed) for seed in range(first_seed, first_seed + budget.members)
    ]


def _mlp(sizes):
    *hidden, outputs = sizes[1:]
    layers = [keras.layers.Dense(n, "relu", kernel_initializer="lecun_normal") for n in hidden]
    return keras.Sequential(
        [
            keras.Input((sizes[0],)),
            *layers,
            keras.layers.Dense(outputs, kernel_initializer="lecun_normal"),
        ]
    )


def _reset(model, weights):
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        if "learning_rate" not in variable.path:
            variable.assign(np.zeros(variable.shape, variable.dtype))
