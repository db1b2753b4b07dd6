//! How soon are others answered while somebody opens all connections and sends what unfolds to a gigabyte?

use super::{Bench, percentile, size};
use crate::agent::Agent;
use crate::bed::app_name;
use crate::secure::{self, Caller, Stream, UNFINISHED};
use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often probes and API are asked beside a flood.
const ROUNDS: usize = 21;
/// What they are promised, in milliseconds.
const SOON: f64 = 100.0;
/// To how much a bomb would unfold.
const UNFOLDED: usize = 1024 * 1024 * 1024;
/// Bombs that are sent to each route.
const BOMBS: usize = 8;
/// By how many MiB bombs may let the agent grow: their bodies are refused unread.
const GROWTH: f64 = 32.0;
/// The beginning of a request's head, and of a request whose body never ends.
const HEAD: &[u8] = b"GET /api/v1/applications HTTP/1.1\r\nHost: 127";
const BODY: &[u8] = b"POST /api/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";

/// One connection of a flood.
enum Open {
    Plain(#[expect(dead_code, reason = "it is kept open")] TcpStream),
    Tls(#[expect(dead_code, reason = "it is kept open")] Box<Stream>),
}

/// How each connection of a flood begins.
#[derive(Clone, Copy)]
enum Begun {
    Outside(&'static [u8]),
    Inside(&'static [u8]),
}

impl Bench {
    /// Restarts the agent with TLS, floods it, and asks beside each flood.
    pub(crate) fn floods(&mut self, n: usize) -> anyhow::Result<()> {
        let bench = self.scale.label(&format!("floods of {n}"));
        let (files, trusted) = secure::certificate(&self.bed.setup.folder)?;
        self.bed.setup.tls = Some(files);
        self.agent.stop()?;
        self.agent = Agent::start(&self.bed.setup)?;
        self.agent.wait_until_ready()?;
        let caller = Caller::new(self.agent.api(), trusted)?;
        // First: what they take is seen by the peak, which nothing has raised yet.
        self.bombs(&bench, &caller)?;
        for (probes, api, begun) in [
            ("half-open: probes, p50", "half-open: API, p50", Begun::Outside(&[])),
            (
                "unfinished handshakes: probes, p50",
                "unfinished handshakes: API, p50",
                Begun::Outside(UNFINISHED),
            ),
            ("slow heads: probes, p50", "slow heads: API, p50", Begun::Inside(HEAD)),
            ("slow bodies: probes, p50", "slow bodies: API, p50", Begun::Inside(BODY)),
        ] {
            let open = (0..n).map(|_| begun.open(&caller)).collect::<anyhow::Result<Vec<Open>>>()?;
            self.answered(&bench, &caller, (probes, api))?;
            drop(open);
        }
        Ok(())
    }

    /// Asks probes and API.
    fn answered(
        &mut self,
        bench: &str,
        caller: &Caller,
        (probes, api): (&'static str, &'static str),
    ) -> anyhow::Result<()> {
        let path = format!("GET /api/v1/applications/{}?fields=metadata.name", app_name(0));
        let (mut ready, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ready.push(self.agent.probe()?);
            let answer = caller.send(&path, &[])?;
            anyhow::ensure!(answer.status == 200, "ask beside a flood: {} {}", answer.status, answer.body);
            asked.push(answer.took);
        }
        for (what, times) in [(probes, &ready), (api, &asked)] {
            let slowest = ms(times, 1.0);
            self.report.promise(bench, what, ms(times, 0.5), SOON).note(format!("slowest {slowest:.1} ms"));
        }
        Ok(())
    }

    /// Sends bombs to who reads webhooks and to who reads syncs, and asks beside them.
    fn bombs(&mut self, bench: &str, caller: &Caller) -> anyhow::Result<()> {
        let bomb = bomb()?;
        let before = self.agent.cost()?;
        let (mut n_refused, mut n_taken) = (0, 0);
        let sync = format!("POST /api/v1/applications/{}/sync", app_name(0));
        for path in ["POST /api/webhook", &sync] {
            let head = format!("{path}\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n");
            for _ in 0..BOMBS {
                // The connection may be closed before all of it is sent, and the answer be lost.
                let status = caller.send(&head, &bomb).map_or(0, |answer| answer.status);
                n_refused += usize::from((400..500).contains(&status));
                n_taken += usize::from(status != 0 && !(400..500).contains(&status));
            }
        }
        anyhow::ensure!(n_refused > 0, "hear of any bomb that it is refused");
        self.answered(bench, caller, ("gzip bombs: probes, p50", "gzip bombs: API, p50"))?;
        let cost = self.agent.cost()?;
        let row = self.report.count(bench, "gzip bombs that were not refused", size(n_taken), 0.0);
        row.note(format!("{n_refused} of {} by an answer", 2 * BOMBS));
        let grown = (cost.peak - before.peak).max(cost.resident - before.resident);
        self.report.size(bench, "memory more by gzip bombs", grown.max(0.0), GROWTH);
        Ok(())
    }
}

impl Begun {
    fn open(self, caller: &Caller) -> anyhow::Result<Open> {
        Ok(match self {
            Self::Outside(bytes) => Open::Plain(caller.plain(bytes)?),
            Self::Inside(bytes) => Open::Tls(Box::new(caller.begin(bytes)?)),
        })
    }
}

/// Makes a body below the cap that is a gigabyte of zeros.
fn bomb() -> anyhow::Result<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .arg("-9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start gzip")?;
    let (mut input, output) = (gzip.stdin.take(), gzip.stdout.take());
    let writing = std::thread::spawn(move || {
        let zeros = vec![0; 1024 * 1024];
        (0..UNFOLDED / zeros.len())
            .try_for_each(|_| input.as_mut().map_or(Ok(()), |input| input.write_all(&zeros)))
    });
    let mut bomb = Vec::new();
    output.context("read from gzip")?.read_to_end(&mut bomb).context("read from gzip")?;
    writing.join().map_err(|_| anyhow::anyhow!("fill gzip"))?.context("fill gzip")?;
    anyhow::ensure!(gzip.wait().context("wait for gzip")?.success(), "compress a gigabyte");
    anyhow::ensure!(bomb.len() < 1024 * 1024, "make a bomb below the cap; it has {} bytes", bomb.len());
    Ok(bomb)
}

fn ms(times: &[Duration], share: f64) -> f64 {
    percentile(times, share).as_secs_f64() * 1000.0
}
