"""Timings that count as evidence: peers interleaved in one run, spread, machine and quality beside every number.

Read one file of `suites/` (what is measured and which bars it has to hold), then `kernel.py` (how a number is made),
then one file of `peers/`. Whole jobs are measured by `measure.py`, single calls by `measure_tasks.py`, counts by
`counters.py`; `record.py` keeps them, `judge.py` says what counts, `readme.py` writes the README's figures.
"""
