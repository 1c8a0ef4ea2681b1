"""Timings that count as evidence: peers interleaved in one run, spread, machine and quality beside every number.

Read `core.py` (the cases and their bars), then `kernel.py` (how a number is made), then one file of `peers/`.
"""
