//! Where does a command keep what it fetches, and what is left of that, however the command ends?

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Folders that are there now.
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Signals that end a command, with the exit code that shells know them by (128 and the signal's number).
const ENDING: [(fn() -> SignalKind, u8); 2] = [(SignalKind::interrupt, 130), (SignalKind::terminate, 143)];

/// How often a folder is tried to be removed that is being written still.
const ATTEMPTS: u32 = 20;

/// Pause between those.
const PAUSE: Duration = Duration::from_millis(10);

/// A folder of our own that goes with us, and with Ctrl-C and SIGTERM.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder that nobody else may look into.
    ///
    /// # Errors
    /// When there can be none in the folder for temporary files.
    pub(crate) fn make() -> io::Result<Self> {
        hear_signals()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("tautline-{}-{}", std::process::id(), since.as_nanos());
        let folder = std::env::temp_dir().join(name);
        // A signal either finds it in the list or comes before it is made.
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails where somebody else was here before.
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        folders.insert(folder.clone());
        Ok(Self(folder))
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A signal waits until it is gone.
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        remove(&self.0);
        folders.remove(&self.0);
    }
}

/// Removes a folder into which threads may write that nobody waits for any more.
fn remove(folder: &Path) {
    for _ in 0..ATTEMPTS {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
            // It is ours alone; leaving it behind would be worse than failing to say so.
            Ok(()) | Err(_) => return,
        }
    }
}

/// Ends the process in order when a signal says so. Only a command that leaves something behind listens, and a thread of its
/// own does: the others may be busy, or wait for who reads their output.
fn hear_signals() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut outcome = Ok(());
    ONCE.call_once(|| outcome = start_listening());
    outcome
}

fn start_listening() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _inside = runtime.enter();
        ENDING.map(|(kind, code)| signal(kind()).map(|signal| (signal, code)))
    };
    let [interrupted, terminated] = signals;
    let signals = [interrupted?, terminated?];
    let listen = move || end(runtime.block_on(first(signals)));
    std::thread::Builder::new().name("signals".into()).spawn(listen).map(drop)
}

/// Returns the exit code of the signal that comes first.
async fn first([(mut one, of_one), (mut other, of_other)]: [(Signal, u8); 2]) -> u8 {
    tokio::select! {
        _ = one.recv() => of_one,
        _ = other.recv() => of_other,
    }
}

#[expect(clippy::exit, reason = "the thread that would return may be stuck in what the signal is to end")]
fn end(code: u8) {
    // Nobody makes another one meanwhile.
    let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    folders.iter().for_each(|folder| remove(folder));
    std::process::exit(code.into());
}
