"""Knowing the customer: verifications by providers, the tiers they earn, the cases people decide."""
