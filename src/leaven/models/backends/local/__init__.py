"""Models that run in this process: transformers and diffusers, from a folder or the hub."""
