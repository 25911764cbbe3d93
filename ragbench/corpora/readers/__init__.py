"""The built-in readers; ``ragbench.corpora.readers`` (the registry) names them."""
