"""HTTP only; imports the front door of `surrogate` only."""
