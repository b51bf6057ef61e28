"""Parts of `benchmarks.requests`: who asks, what is asked, and what it took."""
