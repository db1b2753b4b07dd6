//! Which parts of a control plane does a test need?

/// Which programs run beside etcd and the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Runs kube-controller-manager. Without it no namespace gets its `default` service account, nothing is
    /// garbage-collected, and new nodes keep the taint `not-ready`.
    pub controller_manager: bool,
    /// Runs kube-scheduler.
    pub scheduler: bool,
    /// How many nodes kwok plays, named `node-0` and so on; with none, kwok does not run.
    pub nodes: u16,
    /// Lets the controllers and the scheduler send 500 requests a second (bursts of 1000), so that they are not
    /// what a test or a measurement waits for; by default the controllers send 20 and the scheduler 50.
    pub fast: bool,
}

impl Default for Options {
    /// Everything, with two nodes, fast.
    fn default() -> Self {
        Self { controller_manager: true, scheduler: true, nodes: 2, fast: true }
    }
}

impl Options {
    /// Only etcd and the API server.
    pub fn bare() -> Self {
        Self { controller_manager: false, scheduler: false, nodes: 0, fast: true }
    }
}
