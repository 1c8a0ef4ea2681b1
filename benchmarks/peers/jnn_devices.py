"""jnn: whole runs of a population on the first so many devices."""

from benchmarks.peers import jnn_population
from benchmarks.server import Prepared
from benchmarks.workloads import WORKLOADS, Budget


def prepare(function, *, members, **arguments):
    job, seed = function(members=members, **arguments), 0

    def play(calls):
        nonlocal seed
        for _ in range(calls):
            scores = job(seed)
            seed += members
        return sum(scores) / len(scores)

    play(1)  # compiles
    return Prepared(play, {})


def digits(*, members, epochs, batch_size, devices):
    return jnn_population.digits(
        WORKLOADS["digits"](), Budget(members, epochs, batch_size), devices
    )
