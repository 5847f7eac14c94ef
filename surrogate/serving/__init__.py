"""A problem in, an answer of an engineer out."""
