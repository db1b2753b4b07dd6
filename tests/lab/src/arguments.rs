//! How are the programs of a control plane told to find each other?

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::folder::{Folder, random_hex};
use crate::ports::Port;
use crate::server::Server;

/// What the command lines below have in common.
pub(crate) struct Plan<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) programs: &'a Path,
    pub(crate) etcd: &'a Port,
    pub(crate) etcd_peer: &'a Port,
    pub(crate) api: &'a Port,
    /// Where kwok answers for the kubelets of all nodes.
    pub(crate) kubelet: &'a Port,
}

impl Plan<'_> {
    fn server(&self, name: &'static str, arguments: Vec<String>) -> Server {
        Server::new(name, self.programs, self.folder, arguments)
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn etcd(&self) -> Server {
        let client = format!("http://127.0.0.1:{}", self.etcd.number);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer.number);
        self.server(
            "etcd",
            vec![
                format!("--data-dir={}", self.file("etcd")),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=default={peer}"),
                // A crash of the machine may lose a lab; a killed etcd loses nothing.
                "--unsafe-no-fsync".to_owned(),
                // A single member has nobody to wait for before it leads.
                "--heartbeat-interval=10".to_owned(),
                "--election-timeout=50".to_owned(),
                "--log-level=warn".to_owned(),
            ],
        )
    }

    pub(crate) fn api_server(&self) -> Server {
        let port = self.api.number;
        self.server(
            "kube-apiserver",
            vec![
                format!("--etcd-servers=http://127.0.0.1:{}", self.etcd.number),
                format!("--secure-port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--advertise-address=127.0.0.1".to_owned(),
                // Endpoints cannot hold a loopback address, so nobody may try to publish ours.
                "--endpoint-reconciler-type=none".to_owned(),
                "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
                format!("--tls-cert-file={}", self.file("server.crt")),
                format!("--tls-private-key-file={}", self.file("server.key")),
                format!("--cert-dir={}", self.file("certificates")),
                format!("--client-ca-file={}", self.file("ca.crt")),
                format!("--token-auth-file={}", self.file("tokens.csv")),
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
                format!("--service-account-key-file={}", self.file("service-account.pub")),
                format!("--service-account-signing-key-file={}", self.file("service-account.key")),
                "--authorization-mode=Node,RBAC".to_owned(),
                "--allow-privileged=true".to_owned(),
                // The addresses that pods see lead nowhere; this one is kwok's.
                "--kubelet-preferred-address-types=ExternalIP".to_owned(),
            ],
        )
    }

    pub(crate) fn controller_manager(&self, fast: bool) -> Server {
        let mut arguments = vec![
            format!("--kubeconfig={}", self.file("controller-manager.yaml")),
            "--bind-address=127.0.0.1".to_owned(),
            "--secure-port=0".to_owned(),
            "--leader-elect=false".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", self.file("service-account.key")),
            format!("--root-ca-file={}", self.file("ca.crt")),
            format!("--cluster-signing-cert-file={}", self.file("ca.crt")),
            format!("--cluster-signing-key-file={}", self.file("ca.key")),
        ];
        if fast {
            arguments.extend(["--kube-api-qps=500", "--kube-api-burst=1000"].map(String::from));
        }
        self.server("kube-controller-manager", arguments)
    }

    pub(crate) fn scheduler(&self, fast: bool) -> Server {
        let mut arguments = vec![
            format!("--kubeconfig={}", self.file("scheduler.yaml")),
            "--bind-address=127.0.0.1".to_owned(),
            "--secure-port=0".to_owned(),
            "--leader-elect=false".to_owned(),
        ];
        if fast {
            arguments.extend(["--kube-api-qps=500", "--kube-api-burst=1000"].map(String::from));
        }
        self.server("kube-scheduler", arguments)
    }

    pub(crate) fn kwok(&self) -> Server {
        self.server(
            "kwok",
            vec![
                format!("--kubeconfig={}", self.file("kwok.yaml")),
                format!("--config={}", self.file("stages.yaml")),
                "--manage-all-nodes=true".to_owned(),
                "--node-ip=10.1.0.1".to_owned(),
                "--cidr=10.2.0.1/16".to_owned(),
                format!("--node-port={}", self.kubelet.number),
                format!("--server-address=127.0.0.1:{}", self.kubelet.number),
                // The lease of a node is what keeps the controllers from calling it lost.
                "--node-lease-duration-seconds=40".to_owned(),
            ],
        )
    }

    /// Writes the token of every client and a kubeconfig for each; returns the administrator's token and
    /// kubeconfig.
    pub(crate) fn write_clients(&self) -> Result<(String, PathBuf)> {
        const CLIENTS: [(&str, &str, &str); 4] = [
            ("admin", "admin", "system:masters"),
            ("controller-manager", "system:kube-controller-manager", ""),
            ("scheduler", "system:kube-scheduler", ""),
            ("kwok", "kwok", "system:masters"),
        ];
        let mut tokens = Vec::new();
        let mut lines = String::new();
        for (name, user, groups) in CLIENTS {
            let token = random_hex()?;
            let groups = if groups.is_empty() { String::new() } else { format!(",\"{groups}\"") };
            lines.extend([&token, ",", user, ",", user, &groups, "\n"]);
            let text = kubeconfig(&self.url(), &self.file("ca.crt"), &token, "default");
            fs::write(self.file(&format!("{name}.yaml")), text)
                .with_context(|| format!("write {name}.yaml"))?;
            tokens.push(token);
        }
        fs::write(self.file("tokens.csv"), lines).context("write tokens.csv")?;
        Ok((tokens.swap_remove(0), self.folder.path().join("admin.yaml")))
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api.number)
    }
}

/// Returns the text of a kubeconfig for one user of one cluster.
pub(crate) fn kubeconfig(url: &str, ca_file: &str, token: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: {url}
    certificate-authority: {ca_file}
users:
- name: lab
  user:
    token: {token}
contexts:
- name: lab
  context:
    cluster: lab
    user: lab
    namespace: {namespace}
current-context: lab
"
    )
}
