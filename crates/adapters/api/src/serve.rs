//! How are connections taken, bounded, and ended?

use crate::access::Admission;
use crate::tls::{Tls, TlsFiles};
use crate::under_way::UnderWay;
use crate::write_limit::WriteLimit;
use crate::{Reviews, Webhooks, routes};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet};
use warp::filters::BoxedFilter;
use warp::http::Request;
use warp::hyper::body::Incoming;
use warp::hyper::service::{Service as _, service_fn};
use warp::reply::Response;

/// Longest head of a request, in bytes, roughly: it is seen when it is read.
const LONGEST_HEAD: usize = 64 * 1024;
/// Headers of a request at most.
const MOST_HEADERS: usize = 100;

/// What one caller may take from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once. A further one ends the oldest that has no request under way; where all have one, the
    /// further one is closed.
    pub max_connections: usize,
    /// Waits and streams open at once; fewer than connections, so that there is always room for the others.
    pub max_long: usize,
    /// Costly answers under way at once: those that take much memory, or many reads of the cluster.
    pub max_costly: usize,
    /// Longest wait of a further one for its turn.
    pub costly_patience: Duration,
    /// Longest wait for a request's head, also on an idle kept-alive connection.
    pub header_timeout: Duration,
    /// Longest wait for a request's body, once its head is there.
    pub body_timeout: Duration,
    /// Longest wait for an answer, body included.
    pub request_timeout: Duration,
    /// How long a caller may take nothing of what it is sent.
    pub write_timeout: Duration,
    /// How long requests under way may take to end after the shutdown began.
    pub shutdown_deadline: Duration,
    /// Largest body, in bytes.
    pub max_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_long: 768,
            max_costly: 8,
            costly_patience: Duration::from_secs(2),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            shutdown_deadline: Duration::from_secs(2),
            max_body: 1024 * 1024,
        }
    }
}

/// A listener at work.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens; the port is the real one where 0 was asked for.
    pub addr: SocketAddr,
    /// Ends after the shutdown, at the latest when its deadline has passed.
    pub task: JoinHandle<()>,
}

/// Where and for whom the API is served.
pub struct Listener {
    /// The address; port 0 takes a free one.
    pub addr: SocketAddr,
    /// What one caller may take.
    pub limits: Limits,
    /// Who knows callers and their rights; `None` lets everybody in who can reach the address, which must be loopback then.
    pub reviews: Option<Reviews>,
    /// Whether others on the way can read what is said, tokens among it.
    pub transport: Transport,
}

/// How bytes travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As they are, and on loopback only.
    Plain,
    /// As they are, on any address: something in front of it speaks TLS.
    InsecurePlain,
    /// By TLS, with a certificate that is read anew when its files change.
    Tls(TlsFiles),
}

/// Says why an address may not be listened on, if so: one that others can reach needs authentication and TLS.
///
/// # Errors
/// A sentence for the operator.
pub fn check_exposure(addr: SocketAddr, authenticates: bool, transport: &Transport) -> Result<(), String> {
    if addr.ip().is_loopback() {
        return Ok(());
    }
    if !authenticates {
        return Err(format!("others can reach {addr}, and the API would not ask them who they are"));
    }
    match transport {
        Transport::Tls(_) | Transport::InsecurePlain => Ok(()),
        Transport::Plain => Err(format!(
            "others can reach {addr}, and could read the tokens of its callers: give --tls-cert and --tls-key, or \
             --insecure-http where something in front of it speaks TLS"
        )),
    }
}

/// Serves the API until `shutdown` completes. Each request is sent to `requests`, and each webhook to `webhooks`.
///
/// # Errors
/// `InvalidInput` for what [`check_exposure`] refuses, or a certificate that cannot be used. Else what the files or binding
/// said.
pub async fn serve(
    listener: Listener,
    requests: mpsc::Sender<crate::Request>,
    webhooks: Arc<Webhooks>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Serving> {
    let Listener { addr, limits, reviews, transport } = listener;
    check_exposure(addr, reviews.is_some(), &transport)
        .map_err(|sentence| io::Error::new(io::ErrorKind::InvalidInput, sentence))?;
    let tls = match transport {
        Transport::Tls(files) => Some(Arc::new(Tls::open(files)?)),
        Transport::Plain | Transport::InsecurePlain => None,
    };
    let filter = routes::filter(requests, webhooks, limits, Admission::new(reviews));
    bind(addr, Service { limits, filter, tls }, shutdown).await
}

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) limits: Limits,
    /// Never rejects.
    pub(crate) filter: BoxedFilter<(Response,)>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Listens and answers.
pub(crate) async fn bind(
    listen: SocketAddr,
    service: Service,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Serving> {
    let listener = TcpListener::bind(listen).await?;
    let addr = listener.local_addr()?;
    let task = tokio::spawn(accept(listener, service, shutdown));
    Ok(Serving { addr, task })
}

async fn accept(listener: TcpListener, service: Service, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let (stop, stopping) = watch::channel(());
    let (mut connections, mut refusals) = (Connections::default(), Refusals::default());
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.tasks.join_next_with_id() => connections.forget(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.make_room(service.limits.max_connections) => {
                    let in_flight = Arc::new(AtomicUsize::new(0));
                    let work = connection(stream, service.clone(), in_flight.clone(), stopping.clone());
                    connections.add(work, in_flight);
                }
                Ok((_, peer)) => tracing::warn!(%peer, "connection refused: all others have requests under way"),
                Err(error) => {
                    refusals.tell(&error);
                    // Out of file descriptors, mostly: accepting again at once would spin until one is free.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    drop(stop);
    let all_ended = async { while connections.tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(service.limits.shutdown_deadline, all_ended).await.is_err() {
        connections.tasks.shutdown().await;
    }
}

/// Serves one connection, by TLS or plain, until its end, or until `stopping` says to finish the request under way and close.
async fn connection(
    stream: TcpStream,
    service: Service,
    in_flight: Arc<AtomicUsize>,
    stopping: watch::Receiver<()>,
) {
    // Below TLS, which keeps for itself what the socket does not take.
    let stream = WriteLimit::new(stream, service.limits.write_timeout);
    let Some(tls) = &service.tls else { return exchange(stream, service, in_flight, stopping).await };
    let handshake = tls.acceptor().accept(stream);
    match tokio::time::timeout(service.limits.header_timeout, handshake).await {
        Ok(Ok(stream)) => exchange(stream, service, in_flight, stopping).await,
        Ok(Err(error)) => tracing::debug!(%error, "connection ended in its TLS handshake"),
        Err(_) => tracing::debug!("connection ended: its TLS handshake took too long"),
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    service: Service,
    in_flight: Arc<AtomicUsize>,
    mut stopping: watch::Receiver<()>,
) {
    let limits = service.limits;
    let routes = TowerToHyperService::new(warp::service(service.filter));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let under_way = UnderWay::begin(&in_flight);
        request.extensions_mut().insert(Arc::clone(&under_way));
        let answer = routes.call(request);
        async move { answer.await.map(|response| under_way.until_written(response)) as Result<_, Infallible> }
    });
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LONGEST_HEAD);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        // The sender is dropped, never used: the change is that it is gone.
        _ = stopping.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended early");
    }
}

/// Connections that the system does not let us have, told once in a while: there may be twenty a second.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
}

impl Refusals {
    const TELL_EVERY: Duration = Duration::from_mins(1);

    fn tell(&mut self, error: &io::Error) {
        if self.told.is_some_and(|told| told.elapsed() < Self::TELL_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        tracing::warn!(
            %error,
            "no connection can be accepted; if too many files are open, let the agent open more (ulimit -n)"
        );
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    open: Vec<Connection>,
}

struct Connection {
    task: AbortHandle,
    in_flight: Arc<AtomicUsize>,
}

impl Connections {
    fn add(&mut self, work: impl Future<Output = ()> + Send + 'static, in_flight: Arc<AtomicUsize>) {
        let task = self.tasks.spawn(work);
        self.open.push(Connection { task, in_flight });
    }

    /// Ends the oldest connection without a request under way if there is no room left; false where none can be ended.
    /// So connections that only wait, a flood of half-open ones as well, never keep a new request out.
    fn make_room(&mut self, max: usize) -> bool {
        if self.open.len() < max {
            return true;
        }
        let idle = self.open.iter().position(|open| open.in_flight.load(Ordering::Relaxed) == 0);
        idle.inspect(|&index| self.open.remove(index).task.abort()).is_some()
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a connection's task panicked");
                }
                error.id()
            }
        };
        self.open.retain(|open| open.task.id() != id);
    }
}
