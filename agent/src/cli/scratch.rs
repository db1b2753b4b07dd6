//! Where does a command keep what it fetches, and what is left of that, however the command ends?

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Folders that are there now.
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Signals that end a command: Ctrl-C, `kill`, and a terminal that is closed.
const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// How often a folder is tried to be removed that is being written still.
const ATTEMPTS: u32 = 20;

/// Pause between those.
const PAUSE: Duration = Duration::from_millis(10);

/// A folder of our own that goes with us, and with Ctrl-C, SIGTERM and SIGHUP.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder that nobody else may look into.
    ///
    /// # Errors
    /// When there can be none in the folder for temporary files.
    pub(crate) fn make() -> io::Result<Self> {
        hear_signals()
            .map_err(|error| io::Error::new(error.kind(), format!("listen for signals: {error}")))?;
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
    let (started, starts) = channel();
    std::thread::Builder::new().name("signals".into()).spawn(move || listen(&started))?;
    starts.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended")))
}

fn listen(started: &Sender<io::Result<()>>) {
    let ignored = ignored();
    let heard = |runtime: &Runtime| -> io::Result<Vec<(Signal, i32)>> {
        let _inside = runtime.enter();
        let heard = ENDING.into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
        heard.map(|number| Ok((signal(SignalKind::from_raw(number))?, number))).collect()
    };
    let begun = Builder::new_current_thread().enable_io().build();
    let begun = begun.and_then(|runtime| heard(&runtime).map(|signals| (runtime, signals)));
    let outcome = begun.as_ref().map(drop).map_err(|error| io::Error::new(error.kind(), error.to_string()));
    // Whoever does not wait for it has ended.
    let _unheard = started.send(outcome);
    if let Ok((runtime, signals)) = begun
        && !signals.is_empty()
    {
        end(runtime.block_on(first(signals)));
    }
}

/// Returns which signals whoever started us had us ignore, as `nohup` does; a bit for each, from 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Returns the number of the signal that comes first.
async fn first(signals: Vec<(Signal, i32)>) -> i32 {
    let heard = signals.into_iter().map(|(mut signal, number)| {
        Box::pin(async move {
            signal.recv().await;
            number
        })
    });
    futures::future::select_all(heard).await.0
}

/// Ends as if nobody had listened: a shell that runs us in a loop knows by that to end the loop.
#[expect(clippy::exit, reason = "the thread that would return may be stuck in what the signal is to end")]
fn end(signal: i32) {
    // Nobody makes another one meanwhile.
    let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    folders.iter().for_each(|folder| remove(folder));
    let _not_dead = emulate_default_handler(signal);
    std::process::exit(128 + signal);
}
