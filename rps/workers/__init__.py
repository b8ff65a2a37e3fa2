"""Workers: agent nouns that do what is due, each restartable at any moment."""
