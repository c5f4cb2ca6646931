"""Several simulated nodes, with the actors of each unmodified."""
