//! How does an API server show another certificate from one moment to the next? By something in front of it that speaks TLS.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{ServerConfig, ServerConnection};

use crate::proxy::Proxy;
use crate::server;

/// A TLS front of a [`Proxy`].
pub struct TlsFront {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    config: Arc<ServerConfig>,
    sockets: Vec<TcpStream>,
}

/// One connection, both ways of which need the same state.
struct Pipe {
    tls: Mutex<ServerConnection>,
    near: TcpStream,
    far: TcpStream,
}

impl TlsFront {
    /// Starts one with a certificate and its key (PEM files).
    ///
    /// # Panics
    /// When they cannot be read, or no port is free.
    pub fn start(proxy: &Proxy, certificate: &Path, key: &Path) -> Self {
        let shared = Shared { config: server::tls(certificate, key), sockets: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let (known, to) = (Arc::clone(&shared), proxy.listens_at());
        let address = server::listen(move |near| {
            let far = TcpStream::connect(to)?;
            let mut shared = lock(&known);
            shared.sockets.push(near.try_clone()?);
            let tls = ServerConnection::new(Arc::clone(&shared.config)).map_err(std::io::Error::other)?;
            drop(shared);
            let pipe = Arc::new(Pipe { tls: Mutex::new(tls), near, far });
            let back = Arc::clone(&pipe);
            // A connection that breaks is the other side's to notice.
            std::thread::spawn(move || drop((back.answers(), back.close())));
            let ended = pipe.requests();
            pipe.close();
            ended
        });
        Self { address, shared }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows another certificate from now on; connections that are open end.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn replace(&self, certificate: &Path, key: &Path) {
        let mut shared = lock(&self.shared);
        shared.config = server::tls(certificate, key);
        for socket in std::mem::take(&mut shared.sockets) {
            // The other side may have closed it before.
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

impl Pipe {
    /// Passes on what the client sends, handshake apart.
    fn requests(&self) -> Result<()> {
        let mut bytes = [0; 16_384];
        loop {
            let n = (&self.near).read(&mut bytes)?;
            if n == 0 {
                return Ok(());
            }
            let (mut rest, mut plain) = (&bytes[..n], Vec::new());
            let mut tls = lock(&self.tls);
            while !rest.is_empty() {
                tls.read_tls(&mut rest)?;
                let state = tls.process_new_packets().map_err(std::io::Error::other)?;
                let known = plain.len();
                plain.resize(known + state.plaintext_bytes_to_read(), 0);
                tls.reader().read_exact(&mut plain[known..])?;
            }
            self.flush(&mut tls)?;
            drop(tls);
            (&self.far).write_all(&plain)?;
        }
    }

    /// Passes on what comes back.
    fn answers(&self) -> Result<()> {
        let mut bytes = [0; 16_384];
        loop {
            let n = (&self.far).read(&mut bytes)?;
            if n == 0 {
                return Ok(());
            }
            let mut tls = lock(&self.tls);
            tls.writer().write_all(&bytes[..n])?;
            self.flush(&mut tls)?;
        }
    }

    fn flush(&self, tls: &mut ServerConnection) -> Result<()> {
        while tls.wants_write() {
            tls.write_tls(&mut &self.near)?;
        }
        Ok(())
    }

    fn close(&self) {
        // Either may be closed already.
        drop((self.near.shutdown(Shutdown::Both), self.far.shutdown(Shutdown::Both)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
