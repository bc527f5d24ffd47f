"""The review page: what a run made, to accept, reject, relabel and edit, on this machine alone."""
