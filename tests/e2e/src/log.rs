//! What has an agent said so far? Lines to wait for, and answers that are looked through at the end.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::ChildStderr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use crate::kube::DEADLINE;

/// What an agent has said; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Said>, Condvar)>);

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// How many processes have begun.
    begun: usize,
    /// How many of them have closed their log.
    ended: usize,
    /// Where the one that runs answers: its API, its probes.
    addresses: Option<(SocketAddr, SocketAddr)>,
    /// What has it answer callers whom it would turn away.
    token: Option<String>,
    /// What was asked of them, and what they answered.
    answers: Vec<(String, String)>,
}

impl Log {
    /// Counts one more process that speaks.
    fn begin(&self) {
        self.said().begun += 1;
    }

    fn push(&self, line: Option<String>) {
        let (said, changed) = &*self.0;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        match line {
            Some(line) => said.lines.push(line),
            None => said.ended += 1,
        }
        changed.notify_all();
    }

    /// Remembers where the process answers.
    pub(crate) fn call_at(&self, api: SocketAddr, probes: SocketAddr) {
        self.said().addresses = Some((api, probes));
    }

    /// Forgets where it answers, because it ends.
    pub(crate) fn hang_up(&self) {
        self.said().addresses = None;
    }

    /// Returns where the process that runs answers: its API, its probes.
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.said().addresses
    }

    /// Has whoever asks it for everything show this token.
    pub(crate) fn show_token(&self, token: &str) {
        self.said().token = Some(token.to_owned());
    }

    /// Returns what whoever asks it for everything shows.
    pub(crate) fn token(&self) -> Option<String> {
        self.said().token.clone()
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, asked: &str, answer: &str) {
        self.said().answers.push((asked.to_owned(), answer.to_owned()));
    }

    /// Returns what was asked, and what came.
    pub(crate) fn answers(&self) -> Vec<(String, String)> {
        self.said().answers.clone()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.said().lines.clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits for a line that `is_it` takes, from the first one on.
    pub(crate) fn wait(&self, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        self.wait_from(0, is_it)
    }

    /// Waits for a line; ends early when nobody writes any more.
    pub(crate) fn wait_from(&self, first: usize, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let (said, changed) = &*self.0;
        let end = Instant::now() + DEADLINE;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = first;
        loop {
            while let Some(line) = said.lines.get(next) {
                next += 1;
                if let Some(value) = serde_json::from_str(line).ok().filter(|value| is_it(value)) {
                    return Some(value);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || said.ended == said.begun {
                return None;
            }
            said = changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Takes in what a process says, and writes it to a file.
pub(crate) fn follow(log: Log, stderr: ChildStderr, mut file: File) {
    log.begin();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            // The file is for people; the test reads what is in memory.
            drop(writeln!(file, "{line}"));
            log.push(Some(line));
        }
        log.push(None);
    });
}
