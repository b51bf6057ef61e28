"""The notary: the only holder of the log's signing key, which signs what continues its last head."""
