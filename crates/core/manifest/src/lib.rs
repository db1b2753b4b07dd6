//! Bytes to objects and problems, objects to text.
