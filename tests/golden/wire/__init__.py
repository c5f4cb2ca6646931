"""The frames of the wire."""
