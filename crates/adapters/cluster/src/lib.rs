//! The Kubernetes API: discovery, watch, apply, delete, leases.
