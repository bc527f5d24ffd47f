"""An OpenAI-compatible server on loopback, in a process of its own, for tests and benchmarks."""
