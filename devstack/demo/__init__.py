"""The demo: one journey through the whole product, driven from outside over its real doors."""
