"""The parts of `benchmarks.audit`."""
