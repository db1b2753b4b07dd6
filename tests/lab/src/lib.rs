//! A real control plane on loopback for tests and for people: etcd, kube-apiserver, kube-controller-manager,
//! kube-scheduler and kwok, built from pinned module files and ready in seconds.
//!
//! ```text
//! cargo run -p lab -- up     a cluster until Ctrl-C; prints the kubeconfig and what to try
//! cargo run -p lab -- bin    builds what is missing and prints the folder that holds the programs
//! ```
//!
//! In a test, take the lab that the test process shares and a namespace of your own. A test that stops
//! servers, or needs them set up in another way, starts a lab of its own:
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let lab = lab::shared();
//! let namespace = lab.namespace("guestbook");
//! lab.kubectl(&["-n", &namespace, "create", "deployment", "web", "--image=web:1"])?;
//! lab.kubectl(&["-n", &namespace, "rollout", "status", "deployment/web"])?;
//!
//! let own = lab::Lab::start(&lab::Options::bare())?;
//! own.stop_api_server()?;
//! own.start_api_server()?;
//! # Ok(())
//! # }
//! ```
//!
//! **Building.** The first use on a machine builds the programs with the Go tool chain into a cache folder
//! ([`programs`]); that takes some minutes, once per version.
//!
//! **What is real.** Everything but the nodes: RBAC, default admission, API priority and fairness with their
//! defaults, the controllers, the scheduler. Certificates and tokens are made for each lab. etcd does not sync to
//! disk, and the controllers may ask faster than by default ([`Options::fast`]).
//!
//! **What is missing.** The nodes are kwok's; no container ever runs, so there is no `exec`, no network and no metrics, and
//! the logs of all containers are alike: `logs/current.log`, and `logs/previous.log` for the run before the last restart. There is no storage (a claim waits for a volume that the test creates) and there are no load
//! balancers; a status that they would write is written by the test, as in
//! `kubectl patch service web --subresource=status`.
//!
//! **What a pod does** is chosen by the tag of its first container's image, whatever the image:
//!
//! | Tag | What happens |
//! |---|---|
//! | any other | Ready at once; with `restartPolicy` `Never` or `OnFailure` (Jobs) it then succeeds |
//! | `not-found`, `unauthorized`, `timeout` | `ErrImagePull`, then `ImagePullBackOff`, with containerd's message |
//! | `bad-name` | `InvalidImageName` |
//! | `crash`, `exit-1` | exits with code 1; `CrashLoopBackOff` with rising restart counts, back-offs ten times as short as they say; with `restartPolicy: Never` the pod fails |
//! | `ready-then-crash` | the same, but Ready for two seconds each time before |
//! | `slow` | Ready after three seconds |
//! | `never-ready` | runs, but is never Ready |
//!
//! A pod that no node suits (an impossible `nodeSelector`) stays Pending with the scheduler's own message.
//! The stages are files in `stages/`; to add a behaviour, add a file there, its line in `src/stages.rs`, its
//! tag to the exceptions in `stages/pod-ready.yaml`, a line in this table, and a test in `tests/suite/pods.rs`.
//!
//! **Nothing stays behind.** Servers end and the temporary folder goes when the [`Lab`] is dropped or its process ends in
//! any way, SIGKILL included (`src/folder.rs` shows how).
//!
//! **Another cluster.** With `TAUTLINE_LAB_KUBECONFIG` set, [`shared`] is the cluster that file points at. Faults are
//! refused there, and pods do what their images do.

mod arguments;
mod boot;
mod certificates;
mod cluster;
mod folder;
mod http;
mod kubectl;
mod options;
mod ports;
mod programs;
mod server;
mod ssh;
mod stages;

pub use cluster::{Lab, shared};
pub use options::Options;
pub use programs::{KUBERNETES_VERSION, programs};
pub use ssh::{SshServer, ssh_keygen};
