"""The engine over gRPC, and the notes that lie in Redis until settlement picks them up."""
