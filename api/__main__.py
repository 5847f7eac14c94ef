"""`python -m api` serves with the settings of the environment; `surrogate serve` does the same with options."""

from api.app import serve
from api.settings import Settings

serve(Settings())
