"""Images and audio as values of a record: encoded until an operator needs them, decoded once."""
