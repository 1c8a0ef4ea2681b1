"""The contenders: a file for each workload, with a function for each library.

Each contender runs in a process of its own. So that it imports no library but its own, files with
contenders of several libraries import those inside the functions; the networks of a library are in
`nets_LIBRARY.py`, its layers in `layers_LIBRARY.py`.

A function of a training job is `f(work, budget) -> job`, where `job(first_seed)` trains the members
`first_seed, first_seed + 1, ...` from new initial values and returns their test scores as Python
floats, so that nothing is pending when the clock stops. All start from the same distribution
(LeCun normal kernels, zero biases) and use Adam at 1e-3, unless the file says otherwise.

A function of single calls is `f(*, members, **arguments) -> Call`.
"""
