//! What if anything goes wrong between the agent and the API server? A reverse proxy that logs each request and does what its
//! rules say.
//!
//! ```text
//! agent ──http──▶ Proxy ──https──▶ kube-apiserver
//!                   │ Rule: which request (verb, kind, name, n-th) ─▶ which fault     (fault)
//!                   └ Entry: life of the agent, verb, kind, name, status, fault       (journal)
//! ```
//!
//! What it cannot show: bugs of the API server's own watch cache, writes that etcd reorders, and real partitions.

mod asked;
mod fault;
mod journal;
mod wire;

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use asked::{Asked, Verb};
pub use fault::{Fault, Refusal, Rule};
pub use journal::Entry;

use crate::scene::Scene;
use crate::server::{self, Request};
use journal::Journal;
use wire::{Far, Head, Upstream, chunk, chunked};

/// How much later what is delayed is passed on.
const DELAY: Duration = Duration::from_secs(2);
/// For how long a watch tells nothing before it is said to be expired.
const SWALLOWING: Duration = Duration::from_millis(500);

/// A proxy before the lab's API server, for one agent. Dropping it ends all connections.
pub struct Proxy {
    address: SocketAddr,
    journal: Arc<Journal>,
}

impl Proxy {
    /// Starts one.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(scene: &Scene) -> Self {
        let journal = Arc::<Journal>::default();
        let upstream = Upstream::new(scene.lab.url(), scene.lab.ca_file());
        let shared = Arc::clone(&journal);
        let places = Places { control: scene.control.clone(), app: scene.namespace.clone() };
        let address = server::listen(move |near| {
            let mut connection = Connection::new(near, &shared, &upstream, &places)?;
            let ended = connection.serve();
            connection.close();
            ended
        });
        Self { address, journal }
    }

    /// Writes a kubeconfig of the administrator that leads through the proxy.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn kubeconfig(&self, scene: &Scene) -> PathBuf {
        let text = std::fs::read_to_string(scene.lab.kubeconfig()).expect("the lab has a kubeconfig");
        let path = scene.folder().join(format!("proxy-{}.kubeconfig", self.address.port()));
        let text = text.replace(scene.lab.url(), &format!("http://{}", self.address));
        std::fs::write(&path, text).expect("the scene's folder is writable");
        path
    }

    /// Tells which process is killed where a rule says so.
    pub fn runs(&self, pid: u32) {
        self.journal.runs(pid);
    }

    /// Adds faults, each at its next requests.
    pub fn arm(&self, rules: &[Rule]) {
        self.journal.arm(rules);
    }

    /// Forgets the faults that are still to come; returns how often each came.
    pub fn disarm(&self) -> Vec<usize> {
        self.journal.disarm()
    }

    /// Has every request answered like this from now on, or passed on again; watches that are open end.
    pub fn refuse_all(&self, refusal: Option<Refusal>) {
        self.journal.refuse_all(refusal);
        if refusal.is_some() {
            self.journal.cut();
        }
    }

    /// Returns how often each fault came so far.
    pub fn n_fired(&self) -> Vec<usize> {
        self.journal.n_fired()
    }

    /// Returns all requests so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.journal.entries()
    }

    /// Waits until so many processes were killed; returns whether they were in time.
    pub fn wait_killed(&self, n_killed: usize, longest: Duration) -> bool {
        self.journal.wait_killed(n_killed, longest)
    }

    /// Waits until there was no such request for a while, from now on; returns whether that came to be in time.
    pub fn wait_quiet(&self, quiet: Duration, longest: Duration, is_it: impl Fn(&Entry) -> bool) -> bool {
        self.journal.wait_quiet(quiet, longest, is_it)
    }

    /// Ends all connections that are open.
    pub fn cut(&self) {
        self.journal.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.journal.cut();
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
            namespace => namespace,
        };
        Asked { namespace, name: asked.name.replace(&self.app, "NS"), ..asked }
    }
}

/// One connection of the agent.
struct Connection<'a> {
    near: TcpStream,
    reader: BufReader<TcpStream>,
    journal: &'a Journal,
    upstream: &'a Upstream,
    places: &'a Places,
    life: usize,
}

impl<'a> Connection<'a> {
    fn new(
        near: TcpStream,
        journal: &'a Journal,
        upstream: &'a Upstream,
        places: &'a Places,
    ) -> Result<Self> {
        near.set_nodelay(true)?;
        journal.keep(near.try_clone()?);
        let reader = BufReader::new(near.try_clone()?);
        Ok(Self { near, reader, journal, upstream, places, life: journal.life() })
    }

    fn serve(&mut self) -> Result<()> {
        while let Some(request) = server::read(&mut self.reader)? {
            let asked = self.places.translate(Asked::of(&request));
            let keeps = asked.verb == Verb::Delete || asked.resource.starts_with("leases");
            let body: &[u8] = if keeps { &request.body } else { &[] };
            let (number, fault) = self.journal.take_in(self.life, &asked, body);
            match self.answer(&request, &asked, number, fault)? {
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

    fn answer(
        &mut self,
        request: &Request,
        asked: &Asked,
        number: usize,
        fault: Option<Fault>,
    ) -> Result<Next> {
        match fault {
            Some(Fault::Drop) => return Ok(Next::Close),
            Some(Fault::KillBefore) => {
                self.journal.kill();
                return Ok(Next::Close);
            }
            Some(Fault::Hold) => return self.wait_closed(),
            Some(Fault::Refuse(refusal)) => return self.refuse(number, &refusal.answer()),
            Some(Fault::ExpireByStatus) => {
                let (media_type, body) = fault::expired();
                return self.refuse(number, &server::with_body("410 Gone", media_type, body.as_bytes()));
            }
            Some(Fault::Stale) => {
                if let Some(answer) = self.journal.remembered(&target(request)) {
                    return self.refuse(number, &answer);
                }
            }
            Some(Fault::Delay) => std::thread::sleep(DELAY),
            _ => {}
        }
        let (mut far, socket) = self.upstream.send(request)?;
        self.journal.keep(socket);
        let head = Head::read(&mut far)?;
        if asked.verb == Verb::Watch && head.status == 200 && head.is_chunked() {
            self.journal.answered(number, head.status);
            return self.relay(&head, far, asked, number);
        }
        let mut body = head.body(&mut far)?;
        if fault == Some(Fault::Partial) {
            body = fault::halved(body);
        }
        self.journal.answered(number, head.status);
        let framed = head.written(&format!("content-length: {}", body.len()));
        let mut answer = [framed.as_bytes(), &body].concat();
        match fault {
            Some(Fault::Lose) => return Ok(Next::Close),
            Some(Fault::KillAfter) => {
                self.journal.kill();
                return Ok(Next::Close);
            }
            Some(Fault::HoldAnswer) => return self.wait_closed(),
            Some(Fault::Truncate) => {
                answer.truncate(framed.len() + body.len() / 2);
                self.near.write_all(&answer)?;
                return Ok(Next::Close);
            }
            _ => {}
        }
        if matches!(asked.verb, Verb::List | Verb::Get) {
            self.journal.remember(&target(request), &answer);
        }
        self.near.write_all(&answer)?;
        Ok(Next::Another)
    }

    fn refuse(&mut self, number: usize, answer: &[u8]) -> Result<Next> {
        let status = std::str::from_utf8(answer).ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
        self.journal.answered(number, status.unwrap_or_default());
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
        match self.journal.befalls_event(number, asked) {
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

fn target(request: &Request) -> String {
    format!("{}?{}", request.path, request.query)
}
