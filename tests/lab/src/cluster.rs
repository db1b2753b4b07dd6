//! What is a lab to its user?

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::arguments::Plan;
use crate::folder::Folder;
use crate::http::Http;
use crate::options::Options;
use crate::ports::Port;
use crate::programs::cache_folder;
use crate::server::Server;
use crate::{certificates, programs, stages};

/// A running control plane; dropping it ends its servers and removes its folder.
pub struct Lab {
    // Fields drop in this order: the servers end before their folder goes.
    pub(crate) own: Option<Own>,
    pub(crate) programs: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    url: String,
    ca_file: PathBuf,
    admin_token: Option<String>,
    pub(crate) has_controllers: bool,
    pub(crate) folder: Folder,
}

/// What a lab has that it started itself.
pub(crate) struct Own {
    servers: Mutex<Vec<Server>>,
    pub(crate) http: Http,
    pub(crate) etcd: Port,
    _etcd_peer: Port,
    _api: Port,
    _kubelet: Port,
}

/// Returns the lab that all tests of this process share, started on first use with [`Options::default`], or
/// the cluster of the kubeconfig that `TAUTLINE_LAB_KUBECONFIG` names.
///
/// # Panics
/// When the lab cannot be started: no test could say anything then.
pub fn shared() -> &'static Lab {
    // The failure is kept as well: each test would wait for another attempt otherwise.
    static SHARED: OnceLock<Result<Lab>> = OnceLock::new();
    let lab = SHARED.get_or_init(|| {
        let elsewhere = std::env::var_os("TAUTLINE_LAB_KUBECONFIG").filter(|path| !path.is_empty());
        elsewhere
            .map_or_else(|| Lab::start(&Options::default()), |kubeconfig| Lab::at(Path::new(&kubeconfig)))
    });
    lab.as_ref().unwrap_or_else(|error| panic!("failed to start the lab: {error:#}"))
}

impl Lab {
    /// Starts servers of one's own and returns when all of them do their work.
    ///
    /// # Errors
    /// A program cannot be built or started, or does not answer in time; the error has the end of its log.
    pub fn start(options: &Options) -> Result<Self> {
        let first = Self::attempt(options);
        // Whoever does not know our locks may take a port before our server does; the next attempt sees that.
        if first.as_ref().is_err_and(is_port_taken) { Self::attempt(options) } else { first }
    }

    fn attempt(options: &Options) -> Result<Self> {
        let programs = programs()?;
        let cache = cache_folder()?;
        let folder = Folder::create()?;
        let reserve = || Port::reserve(&cache);
        let [etcd, etcd_peer, api, kubelet] = [reserve()?, reserve()?, reserve()?, reserve()?];
        let authority = certificates::write(folder.path())?;
        let plan = Plan {
            folder: &folder,
            programs: &programs,
            etcd: &etcd,
            etcd_peer: &etcd_peer,
            api: &api,
            kubelet: &kubelet,
        };
        let (admin_token, kubeconfig) = plan.write_clients()?;
        stages::write(folder.path())?;

        let mut servers = vec![plan.etcd(), plan.api_server()];
        if options.controller_manager {
            servers.push(plan.controller_manager(options.fast));
        }
        if options.scheduler {
            servers.push(plan.scheduler(options.fast));
        }
        if options.nodes > 0 {
            servers.push(plan.kwok());
        }
        let url = plan.url();
        let http = Http::new(api.number, &admin_token, authority)?;
        let servers = Mutex::new(servers);
        let own = Own { servers, http, etcd, _etcd_peer: etcd_peer, _api: api, _kubelet: kubelet };
        let lab = Self {
            own: Some(own),
            programs,
            kubeconfig,
            url,
            ca_file: folder.path().join("ca.crt"),
            admin_token: Some(admin_token),
            has_controllers: options.controller_manager,
            folder,
        };
        lab.boot(options)?;
        Ok(lab)
    }

    /// Uses the cluster that a kubeconfig points at; it is never stopped, and [`Lab::pid_of`] and the faults fail.
    ///
    /// # Errors
    /// kubectl cannot read the file.
    pub fn at(kubeconfig: &Path) -> Result<Self> {
        let mut lab = Self {
            own: None,
            programs: programs()?,
            kubeconfig: kubeconfig.to_owned(),
            url: String::new(),
            ca_file: PathBuf::new(),
            admin_token: None,
            has_controllers: true,
            folder: Folder::create()?,
        };
        let config = lab.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"])?;
        let config: Value = serde_json::from_str(&config).context("parse the kubeconfig")?;
        config["clusters"][0]["cluster"]["server"]
            .as_str()
            .context("find the server's address in the kubeconfig")?
            .clone_into(&mut lab.url);
        lab.admin_token = config["users"][0]["user"]["token"].as_str().map(String::from);
        let authority =
            config["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap_or_default();
        let authority =
            BASE64_STANDARD.decode(authority).context("decode the cluster's certificate authority")?;
        lab.ca_file = lab.folder.path().join("ca.crt");
        fs::write(&lab.ca_file, authority).context("write ca.crt")?;
        Ok(lab)
    }

    /// Returns the kubeconfig of the cluster's administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Returns the address of the API server, such as `https://127.0.0.1:20002`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the certificate (PEM) that the API server's certificate is signed with.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Returns the bearer token of the administrator; none where another cluster's kubeconfig has no token.
    pub fn admin_token(&self) -> Option<&str> {
        self.admin_token.as_deref()
    }

    /// Returns the lab's temporary folder, which goes when the lab goes: logs (`<program>.log`), data, and keys. A webhook
    /// on 127.0.0.1 can serve with its `server.crt` and `server.key`, with `ca.crt` as the `caBundle`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the process id of a program, by its file name, such as `kube-apiserver`.
    ///
    /// # Errors
    /// It does not run, or the lab is somebody else's cluster.
    pub fn pid_of(&self, program: &str) -> Result<u32> {
        self.with_server(program, |server| server.pid())
    }

    /// Ends all its servers. For a lab of one's own that is lent out for longer than it is needed.
    pub fn end(&self) {
        if let Some(own) = &self.own {
            own.end();
        }
    }

    /// Kills the API server as a crash would. Only for a lab of one's own: others share [`shared`].
    pub fn stop_api_server(&self) -> Result<()> {
        self.with_server("kube-apiserver", Server::stop)
    }

    /// Starts the API server again, on the same port, and returns when it is ready. etcd must run.
    pub fn start_api_server(&self) -> Result<()> {
        self.start_server("kube-apiserver")?;
        self.wait_for_api_server()
    }

    /// Kills etcd as a crash would; the API server stays and fails its requests. Only for a lab of one's own.
    pub fn stop_etcd(&self) -> Result<()> {
        self.with_server("etcd", Server::stop)
    }

    /// Starts etcd again with the data it had, and returns when it answers and the API server, if it runs,
    /// is ready again.
    pub fn start_etcd(&self) -> Result<()> {
        self.start_server("etcd")?;
        self.wait_for_etcd()?;
        if self.pid_of("kube-apiserver").is_ok() { self.wait_for_api_server() } else { Ok(()) }
    }

    pub(crate) fn last_words(&self, program: &str) -> String {
        self.with_server(program, |server| Ok(format!("{program} said last:\n{}", server.last_words())))
            .unwrap_or_default()
    }

    pub(crate) fn start_server(&self, program: &str) -> Result<()> {
        self.with_server(program, |server| server.start(&self.folder))
    }

    pub(crate) fn with_server<T>(
        &self,
        program: &str,
        act: impl FnOnce(&mut Server) -> Result<T>,
    ) -> Result<T> {
        let mut servers = self.own()?.servers();
        let server = servers.iter_mut().find(|server| server.name() == program);
        act(server.with_context(|| format!("find {program} among this lab's programs"))?)
    }

    pub(crate) fn own(&self) -> Result<&Own> {
        self.own
            .as_ref()
            .context("reach into a cluster that this lab did not start (TAUTLINE_LAB_KUBECONFIG)")
    }
}

impl Own {
    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        // A panic while the lock was held leaves a list that is as good as before.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        // All at once: ending them one after the other would make each wait for the one before.
        self.servers().iter_mut().for_each(Server::let_go);
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells whether a server ended because somebody else listens on its port.
fn is_port_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_server_whose_port_is_taken_says_so() {
        let cache = cache_folder().unwrap();
        let folder = Folder::create().unwrap();
        let [etcd, etcd_peer, api, kubelet] = [(); 4].map(|()| Port::reserve(&cache).unwrap());
        let _stranger = TcpListener::bind(("127.0.0.1", etcd.number)).unwrap();
        let programs = programs().unwrap();
        let plan = Plan {
            folder: &folder,
            programs: &programs,
            etcd: &etcd,
            etcd_peer: &etcd_peer,
            api: &api,
            kubelet: &kubelet,
        };
        let mut server = plan.etcd();
        server.start(&folder).unwrap();
        let error = loop {
            match server.check() {
                Ok(()) => thread::yield_now(),
                Err(error) => break error,
            }
        };
        assert!(is_port_taken(&error), "{error:#}");
    }
}
