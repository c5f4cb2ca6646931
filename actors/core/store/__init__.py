"""The replicated store: conditional transactions over versioned keys, and an event log."""
