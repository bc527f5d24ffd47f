"""The same in Python: data, recipes, runs and measurements as objects that show themselves in a notebook."""
