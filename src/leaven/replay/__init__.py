"""A published comparison, played again from the outputs that its authors recorded."""
