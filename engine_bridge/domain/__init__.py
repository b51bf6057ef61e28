"""Rules of the venue's edge: scales, orders, results and states. Pure, on `kernel` only."""
