"""`python -m surrogate.cli`."""

from surrogate.cli import app

app()
