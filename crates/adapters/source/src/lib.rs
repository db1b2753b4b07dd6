//! Git repositories: resolve, fetch, read trees, watch.
