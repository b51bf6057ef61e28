"""Parts of `benchmarks.settlement`: what is traded, and the function that it is held against."""
