"""Benchmark suites behind the numbers in README and model cards: ``python -m benchmarks`` lists them."""
