"""The history of real nodes."""
