"""What runs in the peers' own virtual environment: nothing of JobD is imported here."""
