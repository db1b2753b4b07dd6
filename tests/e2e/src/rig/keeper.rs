//! Who starts the agent again after a fault killed it?

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::Lab;

use crate::agent::{Agent, Settings};
use crate::proxy::Proxy;

/// How often it looks whether it is still needed.
const ROUND: Duration = Duration::from_millis(200);

/// An agent that is started again each time that it was killed.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    agent: Mutex<Agent>,
    proxy: Arc<Proxy>,
    lab: &'static Lab,
    settings: Settings,
    keeps_cache: bool,
    n_restarts: AtomicUsize,
    is_over: AtomicBool,
}

impl Keeper {
    /// Takes an agent that reaches the API server by the proxy.
    pub(crate) fn new(
        agent: Agent,
        settings: Settings,
        proxy: &Arc<Proxy>,
        lab: &'static Lab,
        keeps_cache: bool,
    ) -> Self {
        proxy.runs(agent.pid());
        let (n_restarts, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let proxy = Arc::clone(proxy);
        let shared = Arc::new(Shared {
            agent: Mutex::new(agent),
            proxy,
            lab,
            settings,
            keeps_cache,
            n_restarts,
            is_over,
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !theirs.is_over.load(Ordering::Relaxed) {
                if theirs.proxy.wait_killed(theirs.n_restarts.load(Ordering::Relaxed) + 1, ROUND) {
                    theirs.restart();
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Returns the agent, once it runs and says that it is ready.
    pub(crate) fn ready(&self) -> MutexGuard<'_, Agent> {
        loop {
            let agent = self.shared.agent.lock().unwrap_or_else(PoisonError::into_inner);
            let is_missing = self
                .shared
                .proxy
                .wait_killed(self.shared.n_restarts.load(Ordering::Relaxed) + 1, Duration::ZERO);
            if !is_missing {
                agent.wait_ready();
                return agent;
            }
            drop(agent);
            std::thread::sleep(ROUND);
        }
    }

    /// Returns how often it was started again.
    pub(crate) fn n_restarts(&self) -> usize {
        self.shared.n_restarts.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn restart(&self) {
        let mut agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        agent.kill();
        if !self.keeps_cache {
            // It may not be there yet.
            drop(fs::remove_dir_all(&self.settings.cache));
        }
        // As if the dead one's lease had run out, which takes 15 s; tests of the lease wait for that.
        let gone = ["-n", &self.settings.namespace, "delete", "lease", "tautline", "--ignore-not-found"];
        self.lab.kubectl(&gone).expect("kubectl deletes a lease");
        self.proxy.expects_successor(&self.settings.kubeconfig);
        agent.restart();
        self.proxy.runs(agent.pid());
        self.n_restarts.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it was told when it happened.
            drop(thread.join());
        }
    }
}
