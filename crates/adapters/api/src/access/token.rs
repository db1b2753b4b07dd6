//! Which bearer token does a request show?

use model::{Digest, digest};
use std::fmt;
use std::sync::Arc;
use warp::http::header::{AUTHORIZATION, HeaderMap};

/// Longest token that we pass on, in bytes; those of service accounts take a kilobyte, those of an identity provider some.
const LONGEST: usize = 16 * 1024;

/// A bearer token. Its text is never printed, and kept only while its request lasts.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// Returns the token itself, for whoever reviews it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns what stands for the token in memory.
    pub(super) fn fingerprint(&self) -> Digest {
        digest(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Reads the one `Authorization` header of a request (RFC 6750, section 2.1). Several make it unclear who asks, and so do
/// letters that no token has.
pub(super) fn bearer(headers: &HeaderMap) -> Option<Token> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let is_whole = !token.is_empty() && token.len() <= LONGEST && token.bytes().all(is_token);
    (scheme.eq_ignore_ascii_case("bearer") && is_whole).then(|| Token(token.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use warp::http::HeaderValue;

    fn read(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        bearer(&headers).map(|token| token.text().to_owned())
    }

    #[test]
    fn one_bearer_token_is_read() {
        assert_eq!(read(&["Bearer a.b-c_d~e+f/g=="]).unwrap(), "a.b-c_d~e+f/g==");
        assert_eq!(read(&["bearer  x "]).unwrap(), "x");
        let longest = "a".repeat(LONGEST);
        assert_eq!(read(&[&format!("BEARER {longest}")]).unwrap(), longest);
    }

    #[test]
    fn anything_else_is_none() {
        let too_long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        for values in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer   "],
            &["Bearer a b"],
            &["Bearer a, Bearer b"],
            &["Bearer a,b"],
            &["Bearer \"a\""],
            &["Bearer \u{e4}"],
            &["Bearer\ta"],
            &["Basic YTpi"],
            &["Token a"],
            &["abc"],
            &["Bearer a", "Bearer a"],
            &["Bearer a", "Basic YTpi"],
            &[&too_long],
        ] {
            assert_eq!(read(values), None, "{values:?}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        assert_eq!(format!("{:?}", Token("s3cret".into())), "Token(***)");
    }
}
