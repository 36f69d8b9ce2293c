"""Benchmarks against peers, all in one run: ``make bench``. Compare within a run only; absolute figures drift with the machine."""
