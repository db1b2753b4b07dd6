//! Who do we say we are, and how is that never printed?

use crate::github::GitHubApp;
use base64::Engine as _;
use std::fmt;

/// What a server is told about us. Prints only its kind.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user; servers that look only at tokens accept any.
        username: String,
        /// The password or token.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
    /// An SSH key without a passphrase, as PEM or in the format of OpenSSH.
    SshKey(String),
    /// An installation of a GitHub App; the server is told a token that it gets.
    GitHubApp(GitHubApp),
}

/// How a repository is reached: what its server is told about us, and whether its host key is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Access {
    /// What the server is told.
    pub credentials: Credentials,
    /// Whether its host key is looked at.
    pub checks: Checks,
}

/// Whether a server that is reached by SSH has to show a known host key. A certificate is always looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checks {
    /// It has to.
    #[default]
    Strict,
    /// Any will do (`insecure`, `insecureIgnoreHostKey`).
    None,
}

impl From<Credentials> for Access {
    fn from(credentials: Credentials) -> Self {
        Self { credentials, checks: Checks::Strict }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer(_) => "Bearer(***)",
            Self::SshKey(_) => "SshKey(***)",
            Self::GitHubApp(_) => "GitHubApp(***)",
        })
    }
}

impl Credentials {
    /// Returns the text with every form of the secret replaced: servers and libraries echo what they were sent.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in self.forms() {
            if !form.is_empty() {
                text = text.replace(&form, "***");
            }
        }
        text
    }

    /// Returns a mark that tells credentials apart and says next to nothing about them: 32 bits of a hash.
    pub(crate) fn mark(&self) -> String {
        let text = match self {
            Self::None => return "anonymous".into(),
            Self::Basic { username, password } => format!("basic\0{username}\0{password}"),
            Self::Bearer(token) => format!("bearer\0{token}"),
            Self::SshKey(key) => format!("ssh\0{key}"),
            Self::GitHubApp(app) => format!("github\0{}", app.identity()),
        };
        model::digest(text.as_bytes()).short(8)
    }

    /// Longest first, so that no part of a longer form stays.
    fn forms(&self) -> Vec<String> {
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let (secret, pair) = match self {
            // A server is never told an app's key, and the token is a password.
            Self::None | Self::GitHubApp(_) => return Vec::new(),
            Self::Basic { username, password } => (password, format!("{username}:{password}")),
            Self::Bearer(token) => (token, token.clone()),
            // Of a key, each line of its body.
            Self::SshKey(key) => {
                let body = key.lines().filter(|line| !line.starts_with("-----"));
                return body.map(str::to_owned).collect();
            }
        };
        let mut forms = vec![base64(&pair), base64(secret), encoded(secret), secret.clone()];
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms
    }
}

fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if is_plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // N19: every form of it
    #[test]
    fn no_form_of_the_secret_survives() {
        let basic = Credentials::Basic { username: "ann".into(), password: "ca/nary".into() };
        let text = "x ca/nary y ca%2Fnary z YW5uOmNhL25hcnk= w Y2EvbmFyeQ==";
        assert_eq!(basic.scrub(text), "x *** y *** z *** w ***");
        assert_eq!(format!("{basic:?} {:?}", Credentials::Bearer("canary".into())), "Basic(***) Bearer(***)");
    }
}
