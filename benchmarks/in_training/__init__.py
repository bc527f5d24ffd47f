"""What lives inside a training loop, with and without, on real data: see `docs/feature-space.md`."""
