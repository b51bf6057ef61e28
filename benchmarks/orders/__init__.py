"""Parts of `benchmarks.bridge`: what is sent, when, by whom, to which engine, and how it is told."""
