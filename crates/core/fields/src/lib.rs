//! The managedFields algebra: paths, sets, ownership.
