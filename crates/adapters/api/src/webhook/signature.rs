//! Does whoever sends a webhook know the secret? Compared in constant time, over the body as it came.

use super::provider::only;
use super::{Check, Provider};
use crate::ApiError;
use ring::hmac;
use warp::http::HeaderMap;

/// Lets a webhook pass that proves the secret, or any where none is set.
///
/// # Errors
/// 401 where the proof is missing or wrong, 503 where the secret is not known.
pub(super) fn check(
    provider: Provider,
    check: &Check,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), ApiError> {
    let secret = match check {
        Check::Open => return Ok(()),
        Check::Unreadable => {
            return Err(ApiError::unavailable(format!(
                "the secret of such webhooks ({}) cannot be read; the agent's log says why",
                provider.secret_key()
            )));
        }
        Check::Secret(secret) => secret,
    };
    let name = provider.proof();
    // Gogs is older than Gitea, which sends both.
    let proof = only(headers, name).or_else(|| {
        let is_gogs = provider == Provider::Gitea && !headers.contains_key(name);
        is_gogs.then(|| only(headers, "x-gogs-signature")).flatten()
    });
    let Some(proof) = proof else {
        return Err(ApiError::unauthenticated(format!(
            "the header {name} is missing: this webhook has to be sent with the secret that {} of the Secret \
             argocd-secret holds",
            provider.secret_key()
        )));
    };
    if is_proof(provider, secret, proof, body) {
        Ok(())
    } else {
        Err(ApiError::unauthenticated(format!(
            "the header {name} does not fit: set the same secret at the sender and as {} of the Secret argocd-secret",
            provider.secret_key()
        )))
    }
}

fn is_proof(provider: Provider, secret: &[u8], proof: &str, body: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    match provider {
        Provider::GitHub | Provider::BitbucketServer | Provider::Generic => {
            proof.strip_prefix("sha256=").and_then(from_hex).is_some_and(|tag| is_signed(&key, body, &tag))
        }
        Provider::Gitea => from_hex(proof).is_some_and(|tag| is_signed(&key, body, &tag)),
        // The secret itself is sent. Its length shows no more than its content when hashes are compared.
        Provider::GitLab | Provider::BitbucketCloud => {
            is_signed(&key, proof.as_bytes(), hmac::sign(&key, secret).as_ref())
        }
    }
}

fn is_signed(key: &hmac::Key, bytes: &[u8], tag: &[u8]) -> bool {
    hmac::verify(key, bytes, tag).is_ok()
}

/// Reads the 64 hexadecimal digits of a SHA-256.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    (digits.len() == 64).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    /// GitHub's documentation, "Testing the webhook payload validation".
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn status(provider: Provider, lines: &[(&str, &str)], body: &[u8]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: warp::http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        check(provider, &Check::Secret(SECRET.into()), &headers, body)
            .map_or_else(|error| error.status, |()| 202)
    }

    #[test]
    fn the_vector_of_github_fits_and_nothing_else_does() {
        let right = format!("sha256={SIGNATURE}");
        for (provider, name, value) in [
            (Provider::GitHub, "x-hub-signature-256", right.as_str()),
            (Provider::BitbucketServer, "x-hub-signature", &right),
            (Provider::Generic, "x-tautline-signature-256", &right),
            (Provider::Gitea, "x-gitea-signature", SIGNATURE),
            (Provider::Gitea, "x-gogs-signature", SIGNATURE),
            (Provider::GitLab, "x-gitlab-token", "It's a Secret to Everybody"),
            (Provider::BitbucketCloud, "x-hook-uuid", "It's a Secret to Everybody"),
        ] {
            assert_eq!(status(provider, &[(name, value)], BODY), 202, "{provider:?}");
            let longer = format!("{value}0");
            let shorter = &value[..value.len() - 1];
            let other = format!("{shorter}f");
            for wrong in ["", "sha256=", "sha1=757107ea", &longer, shorter, &other] {
                assert_eq!(status(provider, &[(name, wrong)], BODY), 401, "{provider:?} {wrong}");
            }
            assert_eq!(status(provider, &[], BODY), 401, "{provider:?}");
            assert_eq!(status(provider, &[("x-something", value)], BODY), 401, "{provider:?}");
            // Which one would count?
            assert_eq!(status(provider, &[(name, value), (name, value)], BODY), 401, "{provider:?}");
        }
    }

    #[test]
    fn the_signature_of_one_body_does_not_fit_another() {
        let right = format!("sha256={SIGNATURE}");
        for body in [b"Hello, World".as_slice(), b"Hello, World!\n", b""] {
            assert_eq!(status(Provider::GitHub, &[("x-hub-signature-256", &right)], body), 401);
        }
    }

    #[test]
    fn an_old_signature_does_not_stand_in_for_a_wrong_one() {
        let lines = [("x-gitea-signature", "00"), ("x-gogs-signature", SIGNATURE)];
        assert_eq!(status(Provider::Gitea, &lines, BODY), 401);
    }

    #[test]
    fn without_a_secret_anybody_may_and_with_one_that_is_not_known_nobody() {
        let headers = HeaderMap::new();
        assert!(check(Provider::GitHub, &Check::Open, &headers, BODY).is_ok());
        let error = check(Provider::GitHub, &Check::Unreadable, &headers, BODY).unwrap_err();
        assert_eq!(error.status, 503);
        assert!(error.message.contains("webhook.github.secret"), "{error}");
    }

    #[test]
    fn hexadecimal_digits_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!(from_hex(&SIGNATURE.to_uppercase()), from_hex(SIGNATURE));
        assert_eq!(from_hex(SIGNATURE).unwrap()[..2], [0x75, 0x71]);
        for text in ["", "7", "g", &"é".repeat(32), &"+1".repeat(32), &SIGNATURE[1..]] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
