"""The ZeroMQ client library."""
