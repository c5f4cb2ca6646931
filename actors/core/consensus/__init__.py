"""What orders transactions: one replicated group, `Solo` while there is one node alone."""
