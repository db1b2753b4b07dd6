//! Is this the host key that the operator vouched for?
//!
//! Reads what OpenSSH reads (sshd(8), the format of its file of known hosts): several hosts per line, wildcards, `!`, hashed names,
//! `[host]:port` and `@revoked`. Certificates (`@cert-authority`) are passed over, for libssh2 has none.

use crate::error::{Kind, SourceError};
use crate::url::SshHost;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The host keys that the operator vouches for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownHosts(Vec<Line>);

#[derive(Debug, PartialEq, Eq)]
struct Line {
    is_revoked: bool,
    hosts: Hosts,
    /// Such as `ssh-ed25519`.
    kind: String,
    key: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    /// Lower-case patterns, with `!` where one excludes.
    Patterns(Vec<String>),
    /// HMAC-SHA1 of the name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// What is known of a host key.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Known,
    /// The operator says that it must not be trusted any more.
    Revoked,
    /// The host is known by other keys of this kind.
    Changed,
    /// The host is known by keys of these kinds only.
    OtherKinds(Vec<String>),
    Unknown,
}

/// Keys of these kinds are what libssh2 can tell a server to show.
const KINDS: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

impl KnownHosts {
    /// Reads all lines; what cannot be read is told and left out.
    pub(crate) fn parse(text: &str) -> (Self, Vec<String>) {
        let (mut lines, mut problems) = (Vec::new(), Vec::new());
        for (number, text) in text.lines().enumerate() {
            match line(text) {
                Ok(found) => lines.extend(found),
                Err(why) => problems.push(format!("line {} {why}", number + 1)),
            }
        }
        (Self(lines), problems)
    }

    /// Lets a host key pass, or says why not.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] with the key's fingerprint and what to do.
    pub(crate) fn check(&self, at: SshHost<'_>, key: &[u8], repository: &str) -> Result<(), SourceError> {
        let shown = format!("{} {}", kind_of(key), fingerprint(key));
        let refused = |why: String, help: String| {
            let message = format!("repository {repository} is not asked: its host key {shown} {why}");
            Err(SourceError::new(Kind::Untrusted, message).help(help))
        };
        let add = format!(
            "compare it with what the server's operator publishes, then add the line of `{}` to ssh_known_hosts in ConfigMap \
             argocd-ssh-known-hosts-cm",
            scan(at)
        );
        match self.standing(at, key) {
            Standing::Known => Ok(()),
            Standing::Revoked => refused("is revoked".into(), "let the server have another one".into()),
            Standing::Changed => refused(
                "is not the one that is known".into(),
                format!("somebody may be in between, or the server has a new one: {add}"),
            ),
            Standing::OtherKinds(kinds) => {
                refused(format!("is not known, only keys of kind {} are", kinds.join(", ")), add)
            }
            Standing::Unknown if self.0.is_empty() => refused("is not known, and neither is any".into(), add),
            Standing::Unknown => refused("is not known".into(), add),
        }
    }

    fn standing(&self, at: SshHost<'_>, key: &[u8]) -> Standing {
        let named = named(at);
        // As OpenSSH: where nobody names the port, what is known of the host counts.
        let has_port = self.0.iter().any(|line| !line.is_revoked && line.hosts.hold(&named));
        let name = if has_port { named.as_str() } else { at.host };
        let is_revoked =
            |line: &&Line| line.is_revoked && (line.hosts.hold(&named) || line.hosts.hold(at.host));
        if self.0.iter().filter(is_revoked).any(|line| line.key == key) {
            return Standing::Revoked;
        }
        let of_host: Vec<&Line> =
            self.0.iter().filter(|line| !line.is_revoked && line.hosts.hold(name)).collect();
        if of_host.iter().any(|line| line.key == key) {
            return Standing::Known;
        }
        let kinds: BTreeSet<&str> = of_host.iter().map(|line| line.kind.as_str()).collect();
        if kinds.is_empty() {
            Standing::Unknown
        } else if kinds.contains(kind_of(key)) {
            Standing::Changed
        } else {
            Standing::OtherKinds(kinds.into_iter().map(str::to_owned).collect())
        }
    }

    /// Returns the lines that libssh2 reads, which chooses the kind of key that a server shows by them. It vouches for
    /// nothing by that: [`Self::check`] does.
    pub(crate) fn preferences(&self) -> String {
        let mut text = String::new();
        for line in self.0.iter().filter(|line| !line.is_revoked && KINDS.contains(&line.kind.as_str())) {
            let hosts = match &line.hosts {
                Hosts::Patterns(patterns) => patterns.join(","),
                Hosts::Hashed { salt, hash } => {
                    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
                }
            };
            // A string takes what is written.
            let _written = writeln!(text, "{hosts} {} {}", line.kind, STANDARD.encode(&line.key));
        }
        text
    }
}

impl Hosts {
    fn hold(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                ring::hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(patterns) => {
                let excludes = |pattern: &String| {
                    pattern.strip_prefix('!').is_some_and(|pattern| matches(pattern, name))
                };
                !patterns.iter().any(excludes) && patterns.iter().any(|pattern| matches(pattern, name))
            }
        }
    }
}

/// Returns the name that a host has in the file: with the port unless that is 22.
fn named(at: SshHost<'_>) -> String {
    if at.port == 22 { at.host.to_owned() } else { format!("[{}]:{}", at.host, at.port) }
}

fn scan(at: SshHost<'_>) -> String {
    if at.port == 22 {
        format!("ssh-keyscan {}", at.host)
    } else {
        format!("ssh-keyscan -p {} {}", at.port, at.host)
    }
}

/// Returns what `ssh-keygen -l` shows.
pub(crate) fn fingerprint(key: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, key);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest.as_ref()))
}

/// Returns the kind that a key itself names (RFC 4253, 6.6).
fn kind_of(key: &[u8]) -> &str {
    let length = key.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let kind = key.get(4..).and_then(|rest| rest.get(..length));
    let is_kind = |kind: &&str| kind.bytes().all(|byte| byte.is_ascii_graphic()) && kind.len() < 64;
    kind.and_then(|kind| std::str::from_utf8(kind).ok()).filter(is_kind).unwrap_or("of an unknown kind")
}

fn line(text: &str) -> Result<Option<Line>, &'static str> {
    let mut words = text.split_ascii_whitespace().peekable();
    let marker = match words.peek() {
        None => return Ok(None),
        Some(word) if word.starts_with('#') => return Ok(None),
        Some(word) if word.starts_with('@') => words.next(),
        Some(_) => None,
    };
    let is_revoked = match marker {
        None => false,
        Some("@revoked") => true,
        Some("@cert-authority") => return Ok(None),
        Some(_) => return Err("has an unknown marker"),
    };
    let (Some(hosts), Some(kind), Some(key)) = (words.next(), words.next(), words.next()) else {
        return Err("is not `hosts kind key`");
    };
    let key = STANDARD.decode(key).map_err(|_| "has a key that is not base64")?;
    if kind_of(&key) != kind {
        return Err("has a key of another kind than it says");
    }
    Ok(Some(Line { is_revoked, hosts: self::hosts(hosts)?, kind: kind.to_owned(), key }))
}

fn hosts(text: &str) -> Result<Hosts, &'static str> {
    let Some(hashed) = text.strip_prefix("|1|") else {
        if text.starts_with('|') {
            return Err("has a host that is hashed in an unknown way");
        }
        return Ok(Hosts::Patterns(text.to_ascii_lowercase().split(',').map(str::to_owned).collect()));
    };
    let decoded = hashed.split_once('|').and_then(|(salt, hash)| {
        Some(Hosts::Hashed { salt: STANDARD.decode(salt).ok()?, hash: STANDARD.decode(hash).ok()? })
    });
    decoded.ok_or("has a hashed host that is not base64")
}

/// Matches `*` and `?`, nothing else: the brackets of `[host]:port` stand for themselves.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where the last `*` stands, and how much of the text it takes.
    let mut star = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((stars, taken)) = star else { return false };
                star = Some((stars, taken + 1));
                at = stars + 1;
                place = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of a kind, with a body.
    fn key(kind: &str, body: &str) -> Vec<u8> {
        let mut key = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        key.extend_from_slice(kind.as_bytes());
        key.extend_from_slice(body.as_bytes());
        key
    }

    fn written(hosts: &str, kind: &str, body: &str) -> String {
        format!("{hosts} {kind} {} a comment\n", STANDARD.encode(key(kind, body)))
    }

    fn known() -> KnownHosts {
        let text = [
            "# a comment\n\n".to_owned(),
            written("git.ex,192.0.2.7", "ssh-ed25519", "one"),
            written("git.ex", "ssh-rsa", "two"),
            written("[git.ex]:7999", "ssh-ed25519", "port"),
            written("*.corp.ex,!evil.corp.ex,host?", "ssh-ed25519", "wild"),
            // `hashed.ex` and `[hashed.ex]:2222` by `ssh-keygen -H`.
            written("|1|HASHED1", "ssh-ed25519", "hashed"),
            written("|1|HASHED2", "ssh-ed25519", "hashed port"),
            written("@revoked *", "ssh-ed25519", "stolen"),
            written("git.ex", "ssh-ed25519", "stolen"),
            written("@cert-authority *", "ssh-ed25519", "authority"),
        ];
        let text = text.concat().replace("|1|HASHED1", HASHED[0]).replace("|1|HASHED2", HASHED[1]);
        let (known, problems) = KnownHosts::parse(&text);
        assert_eq!(problems, [""; 0]);
        known
    }

    const HASHED: [&str; 2] = [
        "|1|MXddj/wY/6xlxE90wJHdorGIUDY=|/ZQeR/IfI0KfqXx5z4yoK/PlELM=",
        "|1|iJpXhYXqyN7e1xLUSvdUUlsse2o=|6b0RnxPNQGGUe6q2lY8aXMGn43I=",
    ];

    fn standing(host: &str, port: u16, kind: &str, body: &str) -> Standing {
        known().standing(SshHost { user: "git", host, port }, &key(kind, body))
    }

    // N17: host keys that are unknown, changed, revoked or another host's
    #[test]
    fn only_keys_that_the_operator_vouched_for_pass() {
        use Standing::{Changed, Known, Revoked, Unknown};
        for (host, port, body, expected) in [
            ("git.ex", 22, "one", Known),
            ("192.0.2.7", 22, "one", Known),
            ("git.ex", 22, "other", Changed),
            ("git.ex", 7999, "port", Known),
            ("git.ex", 7999, "one", Changed),
            ("git.ex", 8022, "one", Known),
            ("git.ex", 22, "port", Changed),
            ("a.corp.ex", 22, "wild", Known),
            ("evil.corp.ex", 22, "wild", Unknown),
            ("corp.ex", 22, "wild", Unknown),
            ("host1", 22, "wild", Known),
            ("host12", 22, "wild", Unknown),
            ("hashed.ex", 22, "hashed", Known),
            ("hashed.ex", 2222, "hashed port", Known),
            ("hashed.ex", 2222, "hashed", Changed),
            ("git.ex", 22, "stolen", Revoked),
            ("new.ex", 22, "stolen", Revoked),
            ("new.ex", 22, "one", Unknown),
            ("git.ex", 22, "authority", Changed),
            ("git.ex.evil", 22, "one", Unknown),
        ] {
            assert_eq!(standing(host, port, "ssh-ed25519", body), expected, "{host}:{port} {body}");
        }
        assert_eq!(standing("git.ex", 22, "ssh-rsa", "two"), Known);
        assert_eq!(standing("git.ex", 22, "ssh-rsa", "one"), Changed);
        let others = Standing::OtherKinds(vec!["ssh-ed25519".into(), "ssh-rsa".into()]);
        assert_eq!(standing("git.ex", 22, "ecdsa-sha2-nistp256", "one"), others);
    }

    #[test]
    fn a_refused_key_is_shown_and_what_to_do_as_well() {
        let at = SshHost { user: "git", host: "new.ex", port: 7999 };
        let error = known().check(at, &key("ssh-ed25519", "one"), "ssh://git@new.ex:7999/a").unwrap_err();
        assert_eq!(error.kind, Kind::Untrusted);
        assert_eq!(
            error.to_string(),
            "repository ssh://git@new.ex:7999/a is not asked: its host key ssh-ed25519 \
             SHA256:WZArY9McGV2HkI4fXFvKVJ8P7R8GHj32oFUKGO+Nvkc is not known (compare it with what the server's operator publishes, then \
             add the line of `ssh-keyscan -p 7999 new.ex` to ssh_known_hosts in ConfigMap argocd-ssh-known-hosts-cm)"
        );
        let nothing = KnownHosts::default().check(at, &key("ssh-ed25519", "one"), "r").unwrap_err();
        assert!(nothing.message.ends_with(" is not known, and neither is any"), "{nothing}");
        assert_eq!(kind_of(&[0, 0, 0, 9, 1]), "of an unknown kind");
        assert_eq!(kind_of(&key("a\nb", "")), "of an unknown kind");
    }

    #[test]
    fn lines_that_cannot_be_read_are_told_and_hide_no_others() {
        let good = written("git.ex", "ssh-ed25519", "one");
        let text = format!(
            "git.ex ssh-ed25519\n@new git.ex ssh-ed25519 AAAA\ngit.ex ssh-rsa !\n{}|2|a|b ssh-rsa {}\n|1|a ssh-rsa {}\n{good}",
            good.replace("ssh-ed25519", "ssh-rsa"),
            STANDARD.encode(key("ssh-rsa", "one")),
            STANDARD.encode(key("ssh-rsa", "one")),
        );
        let (known, problems) = KnownHosts::parse(&text);
        assert_eq!(known.0.len(), 1);
        assert_eq!(
            problems,
            [
                "line 1 is not `hosts kind key`",
                "line 2 has an unknown marker",
                "line 3 has a key that is not base64",
                "line 4 has a key of another kind than it says",
                "line 5 has a host that is hashed in an unknown way",
                "line 6 has a hashed host that is not base64",
            ]
        );
    }

    #[test]
    fn what_libssh2_reads_is_only_what_it_understands() {
        let text = known().preferences();
        assert!(text.starts_with("git.ex,192.0.2.7 ssh-ed25519 ") && text.contains(HASHED[0]), "{text}");
        assert!(!text.contains('@') && !text.contains("comment"), "{text}");
        assert_eq!(text.lines().count(), 7);
        assert_eq!(KnownHosts::parse(&text).0.0.len(), 7);
    }
}
