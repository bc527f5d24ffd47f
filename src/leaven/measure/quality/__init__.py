"""Are made rows varied, like the real ones, true to their labels; do they leak?  Each number beside its null."""
