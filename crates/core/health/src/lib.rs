//! A live object to its health; one file per kind.
