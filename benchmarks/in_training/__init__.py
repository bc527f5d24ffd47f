"""What lives inside a training loop, with and without, on real data: see `benchmarks/in_training.md`."""
