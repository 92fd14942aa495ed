//! Bodies cut into parts, whole and in pieces.
