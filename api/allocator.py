"""How the C library's allocator is set up in processes of many threads that live long."""

import ctypes

# Of glibc's <malloc.h>.
_M_ARENA_MAX = -8
_ARENAS = 2


def use_few_arenas() -> None:
    """Lets threads share their memory: by default each gets some of its own, which fills with holes.

    numpy and torch gain nothing by it. Nothing happens where the C library is not glibc. To be called before
    threads start.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
