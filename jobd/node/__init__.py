"""The node process: boot, wiring, drain."""
