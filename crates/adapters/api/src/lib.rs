//! The HTTP edge: REST, probes, metrics.
