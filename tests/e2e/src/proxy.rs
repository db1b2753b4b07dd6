//! What if anything goes wrong between the agent and the API server, or the Git server? A reverse proxy that logs each request
//! and does what its rules say.
//!
//! ```text
//! agent ──http──▶ Proxy ──https──▶ kube-apiserver
//!                   │ ╰───http───▶ GitServer
//!                   │ serves: what a Service answers that no network leads to         (services)
//!                   │ Rule: which request (verb, kind, name, n-th) ─▶ which fault     (fault)
//!                   └ Entry: life of the agent, verb, kind, name, status, fault       (journal)
//! ```
//!
//! What it cannot show: bugs of the API server's own watch cache, writes that etcd reorders, and real partitions.

mod asked;
mod fault;
mod journal;
mod services;
mod wire;

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use asked::{Asked, Verb};
pub use fault::{Fault, Refusal, Rule};
pub use journal::Entry;

use crate::git_server::GitServer;
use crate::scene::Scene;
use crate::server::{self, Request};
use journal::{Journal, Kept};
use services::Services;
use wire::{Far, Head, Upstream, chunk, chunked};

/// How much later what is delayed is passed on.
const DELAY: Duration = Duration::from_secs(2);
/// For how long a watch tells nothing before it is said to be expired.
const SWALLOWING: Duration = Duration::from_millis(500);

/// A proxy before the lab's API server, for one agent. Dropping it ends all connections.
pub struct Proxy {
    address: Mutex<SocketAddr>,
    shared: Arc<Shared>,
}

/// What all connections need.
struct Shared {
    journal: Journal,
    upstream: Upstream,
    places: Places,
    services: Services,
}

impl Proxy {
    /// Starts one.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(scene: &Scene) -> Self {
        let upstream = Upstream::new(scene.lab.url(), scene.lab.ca_file());
        let places = Places { control: scene.control.clone(), app: scene.namespace.clone() };
        let shared =
            Arc::new(Shared { journal: Journal::default(), upstream, places, services: Services::default() });
        Self { address: Mutex::new(listen(&shared)), shared }
    }

    /// Returns where it listens.
    pub(crate) fn listens_at(&self) -> SocketAddr {
        *self.address()
    }

    /// Writes a kubeconfig of the administrator that leads through the proxy.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn kubeconfig(&self, scene: &Scene) -> PathBuf {
        let text = std::fs::read_to_string(scene.lab.kubeconfig()).expect("the lab has a kubeconfig");
        let address = *self.address();
        let path = scene.folder().join(format!("proxy-{}.kubeconfig", address.port()));
        let text = text.replace(scene.lab.url(), &format!("http://{address}"));
        std::fs::write(&path, text).expect("the scene's folder is writable");
        path
    }

    /// Listens on a port of its own for the next process, and has a kubeconfig of the one that was killed lead there: so it is
    /// known whose a connection is that was opened before the kill and is accepted after it.
    ///
    /// # Panics
    /// When no port is free, or the kubeconfig cannot be written.
    pub(crate) fn expects_successor(&self, kubeconfig: &Path) {
        let mut address = self.address();
        let next = listen(&self.shared);
        let text = std::fs::read_to_string(kubeconfig).expect("the kubeconfig was written");
        let text = text.replace(&address.to_string(), &next.to_string());
        std::fs::write(kubeconfig, text).expect("the scene's folder is writable");
        *address = next;
    }

    /// Stands before a Git server as well; returns what `repoURL` says.
    ///
    /// # Panics
    /// When no port is free.
    pub(crate) fn before(&self, server: &GitServer, name: &str) -> String {
        let (shared, far) = (Arc::clone(&self.shared), Upstream::plain(server.listens_at()));
        let address = server::listen(move |near| {
            let life = shared.journal.life();
            Connection::new(near, &shared, &far, life)?.converse()
        });
        format!("http://{address}/{name}.git")
    }

    fn address(&self) -> MutexGuard<'_, SocketAddr> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells which process is killed where a rule says so.
    pub fn runs(&self, pid: u32) {
        self.shared.journal.runs(pid);
    }

    /// Adds faults, each at its next requests.
    pub fn arm(&self, rules: &[Rule]) {
        self.shared.journal.arm(rules);
    }

    /// Forgets the faults that are still to come; returns how often each came.
    pub fn disarm(&self) -> Vec<usize> {
        self.shared.journal.disarm()
    }

    /// Has every request answered like this from now on, or passed on again; watches that are open end.
    pub fn refuse_all(&self, refusal: Option<Refusal>) {
        self.shared.journal.refuse_all(refusal);
        if refusal.is_some() {
            self.shared.journal.cut();
        }
    }

    /// Leaves an API group out of the answer that tells of all groups, or none any more.
    pub fn hide_group(&self, group: Option<&str>) {
        self.shared.journal.hide_group(group);
    }

    /// Returns how often each fault came so far.
    pub fn n_fired(&self) -> Vec<usize> {
        self.shared.journal.n_fired()
    }

    /// Returns all requests so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    /// Waits until so many processes were killed; returns whether they were in time.
    pub fn wait_killed(&self, n_killed: usize, longest: Duration) -> bool {
        self.shared.journal.wait_killed(n_killed, longest)
    }

    /// Waits until there was no such request for a while, from now on; returns whether that came to be in time.
    pub fn wait_quiet(&self, quiet: Duration, longest: Duration, is_it: impl Fn(&Entry) -> bool) -> bool {
        self.shared.journal.wait_quiet(quiet, longest, is_it)
    }

    /// Kills the agent, as a rule may.
    pub(crate) fn kill(&self) {
        self.shared.journal.kill();
    }

    /// Ends all connections that are open.
    pub fn cut(&self) {
        self.shared.journal.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.journal.cut();
    }
}

/// Whether more requests may come over a connection.
enum Next {
    Another,
    Close,
}

/// The namespaces of a scene, which are called by what they are for: then requests of two scenes can be told to be the same.
struct Places {
    control: String,
    app: String,
}

impl Places {
    fn translate(&self, asked: Asked) -> Asked {
        let namespace = match asked.namespace {
            namespace if namespace == self.control => "control".to_owned(),
            namespace if namespace == self.app => "app".to_owned(),
            namespace => namespace.replace(&self.app, "NS"),
        };
        Asked { namespace, name: asked.name.replace(&self.app, "NS"), ..asked }
    }
}

/// A request, and what befalls it.
struct Exchange {
    request: Request,
    asked: Asked,
    /// Path and query.
    target: String,
    /// Of its entry in the journal.
    number: usize,
    fault: Option<Fault>,
}

/// One connection of the agent.
struct Connection<'a> {
    near: TcpStream,
    reader: BufReader<TcpStream>,
    shared: &'a Shared,
    upstream: &'a Upstream,
    /// Whose it is: the process whose port it came to.
    life: usize,
    _kept: Kept<'a>,
}

impl<'a> Connection<'a> {
    fn new(near: TcpStream, shared: &'a Shared, upstream: &'a Upstream, life: usize) -> Result<Self> {
        near.set_nodelay(true)?;
        let kept = shared.journal.keep(near.try_clone()?);
        let reader = BufReader::new(near.try_clone()?);
        Ok(Self { near, reader, shared, upstream, life, _kept: kept })
    }

    /// Serves until either side has enough, and closes it.
    fn converse(mut self) -> Result<()> {
        let ended = self.serve();
        self.close();
        ended
    }

    fn serve(&mut self) -> Result<()> {
        while let Some(request) = server::read(&mut self.reader)? {
            let (asked, target) = (self.shared.places.translate(Asked::of(&request)), target(&request));
            let keeps = asked.verb == Verb::Delete || asked.resource.starts_with("leases");
            let body: &[u8] = if keeps { &request.body } else { &[] };
            let taken_in = self.shared.journal.take_in(self.life, &asked, &target, body);
            // What the dead asked for is not carried out any more: everything that was under way ended with the kill.
            let Some((number, fault)) = taken_in else { break };
            match self.answer(&Exchange { request, asked, target, number, fault })? {
                Next::Another => {}
                Next::Close => break,
            }
        }
        Ok(())
    }

    fn close(&self) {
        // The agent may have closed it before.
        drop(self.near.shutdown(Shutdown::Both));
    }

    fn answer(&mut self, exchange: &Exchange) -> Result<Next> {
        if let Some(next) = self.befall_request(exchange)? {
            return Ok(next);
        }
        if let Some(answer) = self.shared.services.answer(&exchange.request) {
            self.pass_on(exchange.number, &answer)?;
            return Ok(Next::Close);
        }
        let (mut far, socket) = self.upstream.send(&exchange.request)?;
        let _kept = self.shared.journal.keep(socket);
        let head = Head::read(&mut far)?;
        self.shared.journal.answered(exchange.number, head.status);
        if exchange.asked.verb == Verb::Watch && head.status == 200 && head.is_chunked() {
            return self.relay(&head, far, &exchange.asked, exchange.number);
        }
        let mut body = head.body(&mut far)?;
        if exchange.fault == Some(Fault::Partial) {
            body = fault::halved(body);
        }
        if exchange.asked.resource == "/apis"
            && let Some(group) = self.shared.journal.hidden_group()
        {
            body = fault::without_group(body, &group);
        }
        let framed = head.written(&format!("content-length: {}", body.len()));
        if let Some(next) = self.befall_answer(exchange, &framed, &body)? {
            return Ok(next);
        }
        let answer = [framed.as_bytes(), &body].concat();
        if matches!(exchange.asked.verb, Verb::List | Verb::Get) {
            self.shared.journal.remember(&exchange.target, &answer);
        }
        self.pass_on(exchange.number, &answer)
    }

    /// Does what befalls a request before the API server hears of it; returns what follows where it never does.
    fn befall_request(&mut self, exchange: &Exchange) -> Result<Option<Next>> {
        let answer = match exchange.fault {
            Some(Fault::Drop) => return Ok(Some(Next::Close)),
            Some(Fault::KillBefore) => {
                self.shared.journal.kill();
                return Ok(Some(Next::Close));
            }
            Some(Fault::Hold) => return self.wait_closed().map(Some),
            Some(Fault::Refuse(refusal)) => Some(refusal.answer()),
            Some(Fault::ExpireByStatus) => {
                let (media_type, body) = fault::expired();
                Some(server::with_body("410 Gone", media_type, body.as_bytes()))
            }
            Some(Fault::Stale) => self.shared.journal.remembered(&exchange.target),
            Some(Fault::Delay) => {
                std::thread::sleep(DELAY);
                None
            }
            _ => None,
        };
        let Some(answer) = answer else { return Ok(None) };
        let status = std::str::from_utf8(&answer).ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
        self.shared.journal.answered(exchange.number, status.unwrap_or_default());
        self.pass_on(exchange.number, &answer).map(Some)
    }

    /// Does what befalls an answer; returns what follows where the agent does not get all of it.
    fn befall_answer(&mut self, exchange: &Exchange, head: &str, body: &[u8]) -> Result<Option<Next>> {
        match exchange.fault {
            Some(Fault::Lose) => {}
            Some(Fault::KillAfter) => self.shared.journal.kill(),
            Some(Fault::HoldAnswer) => return self.wait_closed().map(Some),
            Some(Fault::Truncate) => {
                self.near.write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat())?;
            }
            _ => return Ok(None),
        }
        Ok(Some(Next::Close))
    }

    /// Passes a whole answer on. It is noted before: the agent may act on it at once.
    fn pass_on(&mut self, number: usize, answer: &[u8]) -> Result<Next> {
        self.shared.journal.passes_on(number);
        self.near.write_all(answer)?;
        Ok(Next::Another)
    }

    /// Says nothing until the agent gives up.
    fn wait_closed(&mut self) -> Result<Next> {
        while !self.reader.fill_buf()?.is_empty() {
            let length = self.reader.buffer().len();
            self.reader.consume(length);
        }
        Ok(Next::Close)
    }

    /// Passes on what a watch tells, event by event.
    fn relay(&mut self, head: &Head, mut far: Far, asked: &Asked, number: usize) -> Result<Next> {
        self.near.write_all(head.written("transfer-encoding: chunked").as_bytes())?;
        let mut rest = Vec::new();
        while let Some(bytes) = chunk(&mut far)? {
            rest.extend(bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if let Some(next) = self.tell(&line, asked, number)? {
                    return Ok(next);
                }
            }
        }
        self.near.write_all(&chunked(&rest).repeat(usize::from(!rest.is_empty())))?;
        self.near.write_all(b"0\r\n\r\n")?;
        Ok(Next::Another)
    }

    /// Passes one event on; returns what follows where the watch is over.
    fn tell(&mut self, line: &[u8], asked: &Asked, number: usize) -> Result<Option<Next>> {
        match self.shared.journal.befalls_event(number, asked) {
            None => self.near.write_all(&chunked(line))?,
            Some(Fault::Duplicate) => self.near.write_all(&chunked(&line.repeat(2)))?,
            Some(Fault::Freeze) => return self.wait_closed().map(Some),
            Some(Fault::Cut) => {
                self.near.write_all(&chunked(&line[..line.len() / 2]))?;
                return Ok(Some(Next::Close));
            }
            Some(fault) => {
                if fault == Fault::Swallow {
                    std::thread::sleep(SWALLOWING);
                }
                if fault != Fault::ExpireByStatus {
                    let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", fault::expired().1);
                    self.near.write_all(&chunked(event.as_bytes()))?;
                }
                self.near.write_all(b"0\r\n\r\n")?;
                return Ok(Some(Next::Another));
            }
        }
        Ok(None)
    }
}

/// Listens for the process that lives now, on a port of its own.
fn listen(shared: &Arc<Shared>) -> SocketAddr {
    let (shared, life) = (Arc::clone(shared), shared.journal.life());
    server::listen(move |near| Connection::new(near, &shared, &shared.upstream, life)?.converse())
}

fn target(request: &Request) -> String {
    format!("{}?{}", request.path, request.query)
}
