"""Long-running loops, one leader each."""
