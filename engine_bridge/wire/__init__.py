"""Generated from proto/ by `python -m engine_bridge.generate`; do not edit."""
