"""Definitions that are ready to be changed; `rps definition init` begins with them."""
