//! What can a server do to us that means harm, or a machine that is not as we would like it? Little, and to nobody else.
//!
//! What a process takes is measured in one of its own: the tests named `alone_...` are run again by others, each in a
//! process that runs nothing else, and say nothing where they run among all.

mod lists;

use crate::remote::Served;
use crate::support::server::Server;
use crate::support::{Place, Repo, at, read, with};
use source::{Credentials, Kind};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

/// Set in a process that runs one test alone.
const ALONE: &str = "TAUTLINE_TEST_ALONE";

/// Runs a test of this program in a process of its own, as `change` has it.
fn alone(test: &str, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("hostile::{test}"), "--nocapture"]).env(ALONE, "1");
    change(&mut command);
    command.output().unwrap()
}

/// The same; it has to pass.
fn passes_alone(test: &str, change: impl FnOnce(&mut Command)) {
    let output = alone(test, change);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Returns the most memory that this process ever held, in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1000
}

/// Serves whatever `answer` writes, until it has enough or the other side is gone, and returns `ADDRESS`. `answer` is given
/// the first line of the request.
fn serve(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            // A connection that breaks is what most of these tests are about.
            std::thread::spawn(move || drop(converse(stream, &*answer)));
        }
    });
    address
}

fn converse(
    mut stream: TcpStream,
    answer: &impl Fn(&str, &mut TcpStream) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap());
    }
    reader.read_exact(&mut vec![0; length])?;
    answer(first.trim(), &mut stream)
}

/// Begins an answer of a media type that ends with its connection.
fn head(what: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{what}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
}

/// One piece of such an answer; an empty one is the last.
fn piece(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A whole answer.
fn whole(what: &str, bytes: &[u8]) -> Vec<u8> {
    let body = if bytes.is_empty() { Vec::new() } else { piece(bytes) };
    [head(what).into_bytes(), body, piece(&[])].concat()
}

const REFS: &str = "advertisement";
const PACK: &str = "result";

fn line(text: &[u8]) -> Vec<u8> {
    [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
}

/// The first lines of a list of refs, with one branch.
fn refs(tip: &str, abilities: &str) -> Vec<u8> {
    let service = [line(b"# service=git-upload-pack\n"), b"0000".to_vec()].concat();
    let main = line(format!("{tip} refs/heads/main\0{abilities}\n").as_bytes());
    [service, main].concat()
}

/// A whole list of refs, with one branch.
fn one_branch(tip: &str) -> Vec<u8> {
    whole(REFS, &[refs(tip, "ofs-delta"), b"0000".to_vec()].concat())
}

fn is_refs(request: &str) -> bool {
    request.contains("/info/refs")
}

/// What follows the list of refs and the request for a pack in ways that no Git would choose.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let pack = |count: u32, rest: &[u8]| {
        [b"0008NAK\n".as_slice(), b"PACK\0\0\0\x02", &count.to_be_bytes(), rest].concat()
    };
    vec![
        ("nothing", Vec::new()),
        ("no length", b"zzzz".to_vec()),
        ("a length below its own", b"0003".to_vec()),
        ("a length above what comes", b"fff0short".to_vec()),
        ("no pack", line(b"NAK\n")),
        ("an error with escapes", line(b"ERR \x1b[2J\x1b]0;owned\x07 can/ary\n")),
        ("another kind of file", b"0008NAK\nJUNKJUNKJUNKJUNKJUNKJUNKJUNKJUNK".to_vec()),
        ("four billion objects", pack(u32::MAX, &[0xff; 64])),
        ("an object of no kind", pack(1, &[0x00, 0x78, 0x9c, 0, 0])),
        (
            "an object larger than all",
            pack(1, &[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x78]),
        ),
        ("no checksum", pack(0, &[])),
        ("a wrong checksum", pack(0, &[7; 20])),
    ]
}

// N51: answers that are no Git, at every place of a conversation
#[tokio::test]
async fn answers_that_are_no_git_end_soon_and_harm_nobody() {
    let it = Served::new();
    let tip = it.repo.git.refname_to_id("refs/heads/main").unwrap().to_string();
    for (name, bytes) in nonsense() {
        // In the place of a list of refs.
        let answer = whole(REFS, &bytes);
        let address = serve(move |_, stream| stream.write_all(&answer));
        let told = read(&it.place.sources, &at(&format!("http://{address}/a")), "main", "").await;
        assert!(told.starts_with("Unavailable: "), "{name} as refs: {told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");

        // And of a pack, for a branch that is there.
        let (list, pack) = (one_branch(&tip), whole(PACK, &bytes));
        let address =
            serve(move |request, stream| stream.write_all(if is_refs(request) { &list } else { &pack }));
        let repository = at(&format!("http://{address}/a"));
        assert_eq!(it.place.sources.refs(&repository).await.unwrap().names.len(), 1);
        let told = read(&it.place.sources, &repository, "main", "").await;
        assert!(!told.starts_with("a.yaml"), "{name} as a pack: {told}");
        assert!(!told.chars().any(char::is_control) && !told.is_empty(), "{told:?}");
        assert_eq!(it.read("").await, "a.yaml: 1", "after {name}");
    }
}

/// A stream of zlib with stored blocks, which needs no compressor.
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap();
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend(((b << 16) | a).to_be_bytes());
    stream
}

/// The head of an object in a pack: its kind, and how many bytes it has.
fn object(kind: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![(kind << 4) | low(length & 0x0f)];
    let mut rest = length >> 4;
    while rest > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(low(rest));
        rest >>= 7;
    }
    bytes
}

/// Seven bits of a number.
fn low(value: usize) -> u8 {
    u8::try_from(value & 0x7f).unwrap()
}

/// A length in a delta.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(low(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low(value));
    bytes
}

/// A pack of a kilobyte of instructions that unfold to `copies` times a megabyte.
fn bomb(copies: usize) -> Vec<u8> {
    let base = vec![0; 1_000_000];
    let copy = [0x80 | 0x70, 0x40, 0x42, 0x0f];
    let delta = [number(base.len()), number(base.len() * copies), copy.repeat(copies)].concat();
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, &base).unwrap();
    let mut pack = [b"PACK\0\0\0\x02".as_slice(), &2_u32.to_be_bytes()].concat();
    pack.extend([object(3, base.len()), zlib(&base)].concat());
    pack.extend([object(7, delta.len()), id.as_bytes().to_vec(), zlib(&delta)].concat());
    let sum = sha1(&pack);
    [b"0008NAK\n".as_slice(), &pack, &sum].concat()
}

/// By the program that has it everywhere.
fn sha1(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("sha1sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    git2::Oid::from_str(&text[..40]).unwrap().as_bytes().to_vec()
}

// N51: a pack that unfolds
#[test]
fn a_pack_that_unfolds_is_refused_before_it_does() {
    passes_alone("alone_with_a_pack_that_unfolds", |_| {});
}

#[tokio::test]
async fn alone_with_a_pack_that_unfolds() {
    if !is_alone() {
        return;
    }
    let place = Place::new();
    let tip = "1".repeat(40);
    let (list, pack) = (one_branch(&tip), whole(PACK, &bomb(1_500)));
    let address =
        serve(move |request, stream| stream.write_all(if is_refs(request) { &list } else { &pack }));
    let url = format!("http://{address}/a");
    let told = read(&place.sources, &at(&url), "main", "").await;
    assert_eq!(
        told,
        format!("TooLarge: repository {url} holds a file of more than 128 MB (keep large files out of it)")
    );
    assert!(peak() < 200, "{} MB", peak());
}

// N51: a file, a folder and a commit that are small in their pack
#[test]
fn what_is_small_only_in_its_pack_is_refused_by_its_size() {
    passes_alone("alone_with_a_file_that_is_small_only_in_its_pack", |_| {});
}

#[tokio::test]
async fn alone_with_a_file_that_is_small_only_in_its_pack() {
    if !is_alone() {
        return;
    }
    let it = Served::new();
    let blob = zeros(&it, "blob");
    let tree = it.repo.raw_tree(&[("100644", b"zeros.yaml", blob)]);
    it.repo.commit_tree("main", tree);
    let told = it.read("").await;
    assert!(
        told.starts_with("TooLarge: file \"zeros.yaml\" has 70000000 bytes; the limit is 10000000 bytes"),
        "{told}"
    );
    // What says that it is a folder, or a commit, is read as a whole as well.
    let tree = it.repo.raw_tree(&[("40000", b"deep", zeros(&it, "tree"))]);
    it.repo.commit_tree("main", tree);
    // Git's own server would not give that away; others would.
    let told = read(&it.place.sources, &it.repo.at(), "main", "deep").await;
    assert!(told.starts_with("TooLarge: tree ") && told.contains(" has 70000000 bytes"), "{told}");
    let commit = zeros(&it, "commit");
    let told =
        it.place.sources.commit(&it.repo.at(), &model::Revision::new(commit.to_string())).await.unwrap_err();
    assert!(told.message.starts_with("commit ") && told.message.contains(" has 70000000 bytes"), "{told}");
    assert!(peak() < 100, "{} MB", peak());
}

/// Puts 70 MB of zeros into the repository as an object of some kind, which Git streams.
fn zeros(it: &Served, kind: &str) -> git2::Oid {
    let file = it.place.path("zeros");
    std::fs::File::create(&file).unwrap().set_len(70_000_000).unwrap();
    it.repo.git.config().unwrap().set_str("core.bigFileThreshold", "1m").unwrap();
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(&it.repo.path)
        .args(["hash-object", "-w", "--literally", "-t", kind])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    git2::Oid::from_str(String::from_utf8(output.stdout).unwrap().trim()).unwrap()
}

// N16: every way to redirect
#[tokio::test]
async fn no_kind_of_redirect_takes_the_credentials_along() {
    let it = Served::new();
    let canary = Server::start(&it.place.folder.path().join("repos"));
    for status in [301, 302, 303, 307, 308] {
        for location in [
            format!("http://localhost:{}/open/app.git/info/refs", canary.port),
            format!("//localhost:{}/open/app.git/info/refs", canary.port),
            format!("http://ann:canary@localhost:{}/open/app.git/info/refs", canary.port),
            format!("http://127.0.0.1@localhost:{}/open/app.git/info/refs", canary.port),
        ] {
            let answer = format!(
                "HTTP/1.1 {status} X\r\nLocation: {location}?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n"
            );
            let address = serve(move |_, stream| stream.write_all(answer.as_bytes()));
            for credentials in [
                Credentials::Basic { username: "ann".into(), password: "canary".into() },
                Credentials::Bearer("canary".into()),
            ] {
                let told = it.place.sources.refs(&with(&format!("http://{address}/a"), credentials)).await;
                let told = told.unwrap_err();
                assert_eq!(told.kind, Kind::Unavailable, "{status} {location}: {told}");
                assert!(!told.to_string().contains("canary"), "{told}");
            }
        }
    }
    assert!(canary.seen().is_empty(), "{:?}", canary.seen());
}

// N14: no home, one that is not there, and what Git's own programs take from their environment
#[test]
fn the_home_and_the_environment_of_the_process_change_nothing() {
    let test = "alone_in_a_strange_environment";
    passes_alone(test, |command| {
        command.env_remove("HOME");
    });
    passes_alone(test, |command| {
        command.env("HOME", "/nonexistent").env("XDG_CONFIG_HOME", "/nonexistent/x");
    });
    let folder = tempfile::tempdir().unwrap();
    let other = Repo::init(&folder.path().join("other.git"));
    other.commit("main", &[("a.yaml", "another's")]);
    let config = folder.path().join("config");
    std::fs::write(&config, "[url \"http://127.0.0.1:1/\"]\n\tinsteadOf = http://127.0.0.1\n").unwrap();
    passes_alone(test, |command| {
        command.envs([
            ("GIT_CONFIG_GLOBAL", &config),
            ("GIT_CONFIG_SYSTEM", &config),
            ("GIT_DIR", &other.path),
        ]);
        command.env("GIT_SSH_COMMAND", "false").env("GIT_TEMPLATE_DIR", folder.path());
    });
}

#[tokio::test]
async fn alone_in_a_strange_environment() {
    if !is_alone() {
        return;
    }
    let it = Served::new();
    assert_eq!(it.read("").await, "a.yaml: 1");
    let local = it.place.repo("local.git");
    local.commit("main", &[("b.yaml", "2")]);
    assert_eq!(read(&it.place.sources, &local.at(), "", "").await, "b.yaml: 2");
}

// N43: a disk that is full during a fetch, and has room later
#[test]
fn a_full_disk_stops_a_fetch_and_spoils_nothing() {
    let mut shell = Command::new("sh");
    // Files end at a megabyte, and whoever writes more is told so instead of being killed.
    shell.args(["-c", "trap '' XFSZ; ulimit -S -f 2048; exec \"$0\" \"$@\""]);
    shell.arg(std::env::current_exe().unwrap());
    shell.args(["--exact", "hostile::alone_on_a_small_disk", "--nocapture"]).env(ALONE, "1");
    let output = shell.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn alone_on_a_small_disk() {
    if !is_alone() {
        return;
    }
    let it = Served::new();
    assert_eq!(it.read("").await, "a.yaml: 1");
    let noise = |from: u32| {
        let words = (from..from + 12_000).map(|n| model::digest(n.to_string().as_bytes()).to_string());
        words.collect::<String>()
    };
    let files = [noise(0), noise(100_000), noise(200_000), noise(300_000)];
    let files: Vec<(String, &str)> =
        files.iter().enumerate().map(|(n, text)| (format!("f{n}.yaml"), text.as_str())).collect();
    it.repo.commit("main", &files.iter().map(|(name, text)| (name.as_str(), *text)).collect::<Vec<_>>());
    let first = it.read("").await;
    assert!(first.starts_with("Unavailable: the cache folder cannot be written: "), "{first}");
    // What is here stays readable, and what comes next is whole.
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap();
    assert!(raised.success());
    let second = it.read("").await;
    assert!(second.starts_with("f0.yaml: ") && second.len() > 4 * 12_000 * 64, "{} bytes", second.len());
}
