//! Why could an image not be pulled, and is the commit to blame?
//!
//! The kubelet has few reasons and many messages; the registry's answer is in the message only. Names of images and
//! URLs are removed before words are looked for, since `registry/not-found-page:1` says nothing.

use model::Evidence;

/// Words of registries, container runtimes and networks, the first line that holds decides. "Pull access denied,
/// repository does not exist or may require authorization" is Docker Hub's answer to both, so what may be a matter of
/// credentials comes before what is missing.
const CLASSES: &[(&str, Evidence, &[&str])] = &[
    ("throttled", Evidence::Holds, &["toomanyrequests", "too many requests", "rate limit", "qps exceeded"]),
    (
        "not authorised",
        Evidence::Holds,
        &[
            "unauthorized",
            "forbidden",
            "denied",
            "authentication required",
            "no basic auth",
            "authorization failed",
        ],
    ),
    (
        "registry not reachable",
        Evidence::Holds,
        &[
            "timeout",
            "deadline exceeded",
            "connection refused",
            "connection reset",
            "no such host",
            "no route to host",
            "network is unreachable",
            "server misbehaving",
            "name resolution",
            "request canceled",
            "unexpected eof",
            "certificate",
            "bad gateway",
            "service unavailable",
            "internal server error",
        ],
    ),
    (
        "not found",
        Evidence::Condemns,
        &["not found", "notfound", "manifest unknown", "name unknown", "does not exist"],
    ),
];

/// What a failed pull means.
pub(crate) struct Pull {
    /// What to tell a person.
    pub(crate) message: String,
    /// What it says about the commit.
    pub(crate) evidence: Evidence,
}

/// Returns whether a container waits for its image with this reason (kubelet, `pkg/kubelet/images`).
pub(crate) fn is_pull(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
    )
}

/// Reads the kubelet's message about an image.
pub(crate) fn pull(image: &str, reason: &str, message: &str) -> Pull {
    if reason == "InvalidImageName" {
        let message = format!("\"{image}\" is no valid image name");
        return Pull { message, evidence: Evidence::Condemns };
    }
    // The back-off repeats the error that it backs off from; without that prefix both reasons read the same.
    let cause = innermost(message.split_once("ErrImagePull: ").map_or(message, |(_, cause)| cause));
    let told = words(image, cause);
    let class = CLASSES.iter().find(|(.., words)| words.iter().any(|word| told.contains(word)));
    match class {
        Some((name, Evidence::Condemns, _)) => {
            Pull { message: format!("cannot pull image \"{image}\" ({name})"), evidence: Evidence::Condemns }
        }
        Some((name, evidence, _)) => {
            Pull { message: format!("cannot pull image \"{image}\" ({name}): {cause}"), evidence: *evidence }
        }
        None => Pull { message: cause.into(), evidence: Evidence::Holds },
    }
}

/// Removes what the runtime wraps around the registry's answer, which would else be cut off with the end of the text.
fn innermost(mut message: &str) -> &str {
    const WRAPPERS: &[(&str, &str)] = &[
        ("rpc error: code = ", " desc = "),
        ("failed to pull and unpack image \"", "\": "),
        ("failed to pull image \"", "\": "),
        ("failed to resolve reference \"", "\": "),
        ("failed to resolve image \"", "\": "),
        ("failed to copy: httpReadSeeker: ", "failed open: "),
    ];
    let inside = |message: &str, (start, end): (&str, &str)| {
        let at = message.strip_prefix(start)?.find(end)?;
        Some(start.len() + at + end.len())
    };
    while let Some(at) = WRAPPERS.iter().find_map(|wrapper| inside(message, *wrapper)) {
        message = &message[at..];
    }
    message
}

fn words(image: &str, message: &str) -> String {
    let is_name = |word: &&str| word.contains(['/', '"']) || (!image.is_empty() && word.contains(image));
    let kept: Vec<&str> =
        message.split_whitespace().filter(|word| *word == "i/o" || !is_name(word)).collect();
    kept.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_answers() {
        let cases = [
            // containerd
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/x:1\": failed to resolve reference \"docker.io/library/x:1\": docker.io/library/x:1: not found",
                Evidence::Condemns,
            ),
            (
                "Back-off pulling image \"x:1\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/x:1\": docker.io/library/x:1: not found",
                Evidence::Condemns,
            ),
            (
                "failed to pull and unpack image \"ghcr.io/a/x:1\": failed to resolve reference \"ghcr.io/a/x:1\": unexpected status from HEAD request to https://ghcr.io/v2/a/x/manifests/1: 403 Forbidden",
                Evidence::Holds,
            ),
            (
                "failed to resolve reference \"docker.io/a/x:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                Evidence::Holds,
            ),
            (
                "failed to pull image \"x:1\": 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.",
                Evidence::Holds,
            ),
            (
                "failed to do request: Head \"https://reg.example/v2/x/manifests/1\": dial tcp: lookup reg.example: no such host",
                Evidence::Holds,
            ),
            (
                "failed to do request: Head \"https://reg.example/v2/x/manifests/1\": dial tcp 10.0.0.9:443: i/o timeout",
                Evidence::Holds,
            ),
            ("pull QPS exceeded", Evidence::Holds),
            // cri-o and docker
            ("reading manifest 1 in docker.io/library/x: manifest unknown", Evidence::Condemns),
            (
                "Error response from daemon: manifest for x:1 not found: manifest unknown: manifest unknown",
                Evidence::Condemns,
            ),
            // Says nothing of why.
            ("Back-off pulling image \"x:1\"", Evidence::Holds),
            ("Back-off pulling image \"reg/not-found:1\"", Evidence::Holds),
            ("failed to pull reg/denied:1: registry/denied:1: not found", Evidence::Condemns),
        ];
        for (message, expected) in cases {
            assert_eq!(pull("x:1", "ErrImagePull", message).evidence, expected, "{message}");
        }
    }

    #[test]
    fn the_registrys_answer_survives_the_cut() {
        let error = "rpc error: code = Unknown desc = failed to pull and unpack image \"r/x:1\": failed to resolve \
                     reference \"r/x:1\": failed to do request: dial tcp 192.0.2.7:443: i/o timeout";
        assert_eq!(
            pull("r/x:1", "ErrImagePull", error).message,
            "cannot pull image \"r/x:1\" (registry not reachable): failed to do request: dial tcp 192.0.2.7:443: i/o timeout"
        );
    }

    #[test]
    fn back_off_reads_as_the_error_behind_it() {
        let error = "failed to resolve reference \"r/x:1\": r/x:1: unexpected status: 401 Unauthorized";
        let back_off = format!("Back-off pulling image \"r/x:1\": ErrImagePull: {error}");
        let text = |reason, message| pull("r/x:1", reason, message).message;
        assert_eq!(text("ImagePullBackOff", &back_off), text("ErrImagePull", error));
    }
}
