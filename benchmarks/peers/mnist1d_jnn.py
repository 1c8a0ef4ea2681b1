"""jnn: the populations of the MNIST-1D reproduction, its own networks."""

import functools

import optax

import jnn
from benchmarks.peers.jnn_population import lengths
from benchmarks.reproduction import load


def _job(name, work, budget):
    jnn.use_cpu_cores()
    train, test = (
        jnn.Dataset.from_arrays(x, y)
        for x, y in ((work.train_x, work.train_y), (work.test_x, work.test_y))
    )
    study = jnn.Study(
        model=load("mnist1d").MODELS[name],
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.adam(1e-2),
        metrics={"accuracy": jnn.metrics.accuracy},
        order="sequential",
        **lengths(budget),
    )

    def job(first_seed):
        result = jnn.run(study, train, jnn.seeds(budget.members, first=first_seed), test=test)
        return result.final()["accuracy"].values.tolist()

    return job


mnist1d_logistic = functools.partial(_job, "logistic")
mnist1d_mlp = functools.partial(_job, "MLP")
mnist1d_cnn = functools.partial(_job, "CNN")
mnist1d_gru = functools.partial(_job, "GRU")
