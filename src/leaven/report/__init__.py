"""The page that a run leaves for people, ``report.html``, and the card of its dataset, ``README.md``."""
