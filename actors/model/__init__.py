"""The nouns of JobD: frozen, validated values without I/O."""
