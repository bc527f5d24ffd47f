"""How the models of the roles are fitted to a user's rows: a file for each."""
