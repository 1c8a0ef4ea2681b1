"""The contenders: one file each, run in a process of its own.

Every file exposes functions named after the workloads that it can train, of one form:
`workload(work, budget) -> job`, where `job(first_seed)` trains members `first_seed, first_seed + 1, ...` from fresh
initial values and returns their test accuracies as Python floats, so that nothing is left pending when the clock stops.
All start from the same distribution (LeCun normal kernels, zero biases) and use Adam at 1e-3.
"""
