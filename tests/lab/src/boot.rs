//! In which order do the programs start, and how is each known to be up?

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cluster::Lab;
use crate::http;
use crate::options::Options;
use crate::server::Server;

/// How long one program may take to answer, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);

impl Lab {
    /// Starts the programs in the order in which they need each other, and returns when all do their work.
    pub(crate) fn boot(&self, options: &Options) -> Result<()> {
        self.start_server("etcd")?;
        self.wait_for_etcd()?;
        self.start_server("kube-apiserver")?;
        self.wait_for_api_server()?;
        for number in 0..options.nodes {
            self.own()?.http.create("/api/v1/nodes", &node(number))?;
        }
        if options.controller_manager {
            self.start_server("kube-controller-manager")?;
        }
        if options.scheduler {
            self.start_server("kube-scheduler")?;
        }
        if options.nodes > 0 {
            self.start_server("kwok")?;
        }
        self.wait_for_work(options)
    }

    /// Waits until the controllers and the nodes show, by what they do, that they are up.
    fn wait_for_work(&self, options: &Options) -> Result<()> {
        let http = &self.own()?.http;
        if options.controller_manager {
            let default =
                "/api/v1/namespaces/default/serviceaccounts?watch=true&fieldSelector=metadata.name%3Ddefault";
            http.wait(default, |_| true)
                .with_context(|| self.last_words("kube-controller-manager"))
                .context("wait for the service account of namespace default")?;
        }
        for number in 0..options.nodes {
            let path = format!("/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dnode-{number}");
            // Without controllers nobody takes the taint of a new node away.
            http.wait(&path, |node| {
                is_ready(node) && (!options.controller_manager || node["spec"]["taints"].is_null())
            })
            .with_context(|| self.last_words("kwok"))
            .with_context(|| format!("wait for node-{number} to be ready"))?;
        }
        Ok(())
    }

    pub(crate) fn wait_for_etcd(&self) -> Result<()> {
        let own = self.own()?;
        self.poll("etcd", || http::is_healthy(own.etcd.number))
    }

    pub(crate) fn wait_for_api_server(&self) -> Result<()> {
        let http = &self.own()?.http;
        self.poll("kube-apiserver", || http.get("/readyz").is_ok_and(|answer| answer.status == 200))
    }

    /// Asks again and again, in short steps: a server that boots has no event to offer that says when it is ready.
    fn poll(&self, program: &str, is_ready: impl Fn() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !is_ready() {
            self.with_server(program, Server::check)?;
            if begin.elapsed() > PATIENCE {
                bail!("{program} is not ready after {PATIENCE:?}; {}", self.last_words(program));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn node(number: u16) -> Value {
    let name = format!("node-{number}");
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
    })
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
