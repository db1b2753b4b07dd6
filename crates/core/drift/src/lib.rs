//! Desired and live to drift, per field, with who did it.
