"""Keys, and what is sealed with them: a key of the operator's wraps one key a domain,
which seals what must not be read from the database alone."""
