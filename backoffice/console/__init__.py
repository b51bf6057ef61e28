"""The staff console: server-rendered screens behind the edge, each naming the permission that opens it."""
