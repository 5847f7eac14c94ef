"""A part becomes a `TetMesh` with named faces."""
