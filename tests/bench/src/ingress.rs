//! Who gives an Ingress its address, where there is no ingress controller? We do, as soon as a watch shows it.

use crate::bed::Bed;
use crate::http;
use anyhow::Context as _;
use cluster::{Endpoint, WatchEvent, WatchHandle, WatchId, WatchSpec};
use model::Object;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// What an Ingress controller writes.
const STATUS: &str = r#"{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}"#;

/// Plays the controller until it is dropped.
pub(crate) struct IngressController {
    addressed: Arc<AtomicUsize>,
    proxy: Child,
    _watch: WatchHandle,
}

impl IngressController {
    /// Begins to watch.
    pub(crate) fn start(bed: &Bed) -> anyhow::Result<Self> {
        let (proxy, address) = proxy(bed)?;
        let addressed = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&addressed);
        let endpoint = Endpoint::new("networking.k8s.io/v1", "Ingress", "ingresses", true);
        let (sender, mut events) = mpsc::channel::<(WatchId, WatchEvent)>(64);
        let watch = bed.admin.watch(WatchSpec::all(endpoint), sender, WatchId(1));
        tokio::spawn(async move {
            while let Some((_, event)) = events.recv().await {
                let WatchEvent::Object(ingress, _) = event else { continue };
                if has_address(&ingress) {
                    continue;
                }
                let count = Arc::clone(&count);
                tokio::task::spawn_blocking(move || {
                    // One that could not be written is missed by the run, which waits for it.
                    if give_address(address, &ingress).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Ok(Self { addressed, proxy, _watch: watch })
    }

    /// Returns how many it gave an address.
    pub(crate) fn n_addressed(&self) -> usize {
        self.addressed.load(Ordering::Relaxed)
    }
}

impl Drop for IngressController {
    fn drop(&mut self) {
        // One that ended already cannot be killed, which is just as well.
        drop(self.proxy.kill());
        drop(self.proxy.wait());
    }
}

/// Starts `kubectl proxy`: a status is written over it without TLS and tokens of our own.
fn proxy(bed: &Bed) -> anyhow::Result<(Child, SocketAddr)> {
    let mut child = Command::new(lab::programs()?.join("kubectl"))
        .arg("--kubeconfig")
        .arg(bed.lab.kubeconfig())
        .args(["proxy", "--port=0", "--address=127.0.0.1", "--reject-methods=^$"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("start kubectl proxy")?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("read what kubectl proxy prints")?;
    BufReader::new(stdout).read_line(&mut line)?;
    // Starting to serve on 127.0.0.1:PORT
    let address = line.split_whitespace().last().and_then(|word| word.parse().ok());
    Ok((child, address.with_context(|| format!("find the address in {line:?}"))?))
}

fn has_address(ingress: &Object) -> bool {
    let addresses = ingress.get("status").and_then(|status| status.pointer("/loadBalancer/ingress"));
    addresses.and_then(Value::as_array).is_some_and(|addresses| !addresses.is_empty())
}

fn give_address(proxy: SocketAddr, ingress: &Object) -> anyhow::Result<()> {
    let (namespace, name) = (ingress.namespace(), ingress.name());
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}/status");
    let answer = http::send(proxy, "PATCH", &path, "application/merge-patch+json", STATUS)?;
    anyhow::ensure!(answer.status == 200, "write the status of an Ingress: {}", answer.body);
    Ok(())
}
