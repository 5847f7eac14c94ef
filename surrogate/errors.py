"""Everything this package raises on purpose.

SurrogateError
├── InputError                  what was given is wrong; the message names the remedy (exit code 2, HTTP 422)
│   ├── GeometryError           the part cannot be read or meshed
│   │   ├── UnsupportedFormatError   no reader for this kind of file (HTTP 415)
│   │   └── TooLargeError            over a size limit (HTTP 413)
│   ├── SelectorError           a selector matches no face, or not the expected number
│   ├── MaterialError           material constants that no material has
│   └── ProblemError            supports, loads or histories that do not define a solvable problem
│       └── RigidBodyError      the part can still move freely; the free motions are named
├── SolveError                  the reference solver has no answer
│   └── ConvergenceError        an increment did not converge after being halved
├── CheckpointError             a model file is damaged or does not fit this version
└── InfrastructureError         a tool is missing, a process died or ran out of time (exit code 3, HTTP 503)
"""


class SurrogateError(Exception):
    """Base of all errors raised on purpose; its text says what, the value, and the remedy."""


class InputError(SurrogateError):
    """What was given is wrong."""


class GeometryError(InputError):
    """The part cannot be read or meshed."""


class UnsupportedFormatError(GeometryError):
    """No reader for this kind of file."""


class TooLargeError(GeometryError):
    """The file or the mesh is over a size limit."""


class SelectorError(InputError):
    """A selector matches no face, or not the expected number."""


class MaterialError(InputError):
    """Material constants that no material has."""


class ProblemError(InputError):
    """Supports, loads or histories that do not define a solvable problem."""


class RigidBodyError(ProblemError):
    """The part can still move as a rigid body; the message names the free motions."""


class SolveError(SurrogateError):
    """The reference solver has no answer."""


class ConvergenceError(SolveError):
    """A load increment did not converge after being halved."""


class CheckpointError(SurrogateError):
    """A model file is damaged or does not fit this version."""


class InfrastructureError(SurrogateError):
    """A tool is missing, a process died or ran out of time."""
