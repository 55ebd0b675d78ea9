"""Features: what may be known of a symbol at the end of each minute, one module per kind of information."""
