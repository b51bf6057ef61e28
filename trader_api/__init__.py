"""The traders' door: OKX v5 over HTTP, so that the clients people already run work unmodified."""
