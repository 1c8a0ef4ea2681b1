"""The contenders: one file each, run in a process of its own, with one function for each thing that it can do.

Of a job: `workload(work, budget) -> job`, where `job(first_seed)` trains members `first_seed, first_seed + 1, ...` from
fresh initial values and returns their test accuracies as Python floats, so that nothing is left pending when the clock
stops. All start from the same distribution (LeCun normal kernels, zero biases) and use Adam at 1e-3.

Of a task: a function named after it - a layer `f(params, x, ...) -> y`, a network, a step - and beside it
`prepare(function, *, members, **arguments) -> Prepared`, which turns any of them into calls.
"""
