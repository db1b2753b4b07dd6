//! With which code does the program end?

use model::{CallError, ErrorClass};
use source::Kind;
use std::io;

/// A difference, or a bad verdict.
pub(crate) const DIFFERENCE: u8 = 1;
/// Wrong usage.
pub(crate) const USAGE: u8 = 2;
/// No answer in time.
pub(crate) const TIMEOUT: u8 = 3;
/// What was asked for does not exist.
pub(crate) const NOT_FOUND: u8 = 4;
/// Not allowed.
pub(crate) const FORBIDDEN: u8 = 5;
/// Anything else that went wrong, such as manifests that cannot be read: that is no difference.
pub(crate) const OTHER: u8 = 6;

/// What `--help` says after the options.
pub(crate) const CODES: &str = "Exit codes: 0 as wished, 1 a difference or a bad verdict, 2 usage, 3 timeout, 4 not found, 5 forbidden, 6 anything else, such as manifests that cannot be read.";

/// Returns the code of what went wrong, by the first of its causes that tells.
pub(crate) fn of(error: &anyhow::Error) -> u8 {
    let code = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().map(of_io);
        let source = || cause.downcast_ref::<source::SourceError>().map(|error| of_source(error.kind));
        // Outside of a pod there is no service account.
        let variable = || cause.downcast_ref::<std::env::VarError>().map(|_| NOT_FOUND);
        io.or_else(source).or_else(variable)
    };
    error.chain().find_map(code).unwrap_or(OTHER)
}

/// Returns the code of what a file or an address said.
pub(crate) fn of_io(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::InvalidInput => USAGE,
        io::ErrorKind::TimedOut => TIMEOUT,
        io::ErrorKind::NotFound => NOT_FOUND,
        io::ErrorKind::PermissionDenied => FORBIDDEN,
        _ => OTHER,
    }
}

/// Returns the code of why the API server gave nothing.
pub(crate) fn of_call(error: &CallError) -> u8 {
    match error.class {
        ErrorClass::NotFound | ErrorClass::NoSuchKind => NOT_FOUND,
        ErrorClass::Forbidden => FORBIDDEN,
        ErrorClass::Unavailable if error.status == Some(401) => FORBIDDEN,
        ErrorClass::Unavailable if cluster::is_timeout(error) => TIMEOUT,
        ErrorClass::Conflict
        | ErrorClass::Invalid
        | ErrorClass::Denied
        | ErrorClass::Gone
        | ErrorClass::Throttled
        | ErrorClass::Unavailable
        | ErrorClass::Withheld => OTHER,
    }
}

/// Returns the code of why a repository could not be read.
pub(crate) fn of_source(kind: Kind) -> u8 {
    match kind {
        Kind::InvalidUrl => USAGE,
        Kind::TimedOut => TIMEOUT,
        Kind::RepositoryNotFound | Kind::RevisionNotFound | Kind::PathNotFound => NOT_FOUND,
        Kind::Authentication | Kind::NotPermitted => FORBIDDEN,
        Kind::Invalid
        | Kind::TooLarge
        | Kind::Untrusted
        | Kind::NotSupported
        | Kind::Unavailable
        | Kind::Cancelled => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_cause_decides_whatever_was_said_about_it() {
        let of_io = |kind: io::ErrorKind| {
            let failed: Result<(), io::Error> = Err(kind.into());
            of(&failed.context("listen").context("start").unwrap_err())
        };
        assert_eq!(of_io(io::ErrorKind::InvalidInput), USAGE);
        assert_eq!(of_io(io::ErrorKind::TimedOut), TIMEOUT);
        assert_eq!(of_io(io::ErrorKind::NotFound), NOT_FOUND);
        assert_eq!(of_io(io::ErrorKind::PermissionDenied), FORBIDDEN);
        assert_eq!(of_io(io::ErrorKind::AddrInUse), OTHER);
        let no_pod = anyhow::Error::new(std::env::VarError::NotPresent).context("use the service account");
        assert_eq!(of(&no_pod), NOT_FOUND);
        assert_eq!(of(&anyhow::anyhow!("who knows")), OTHER);
    }

    #[test]
    fn an_api_server_that_refuses_is_told_from_one_that_is_away() {
        use ErrorClass::{Forbidden, Invalid, NoSuchKind, NotFound, Unavailable};
        let code =
            |class, status, message: &str| of_call(&CallError { status, ..CallError::new(class, message) });
        assert_eq!(code(Forbidden, Some(403), "no"), FORBIDDEN);
        assert_eq!(code(Unavailable, Some(401), "who are you"), FORBIDDEN);
        assert_eq!(code(NotFound, Some(404), "gone"), NOT_FOUND);
        assert_eq!(code(NoSuchKind, Some(404), "what"), NOT_FOUND);
        assert_eq!(code(Unavailable, None, "no answer from https://a within 30 s"), TIMEOUT);
        assert_eq!(code(Unavailable, None, "connection refused"), OTHER);
        assert_eq!(code(Invalid, Some(422), "no answer from the author"), OTHER);
    }

    #[test]
    fn a_repository_that_does_not_answer_is_told_from_one_that_is_not_there() {
        assert_eq!(of_source(Kind::TimedOut), TIMEOUT);
        assert_eq!(of_source(Kind::RepositoryNotFound), NOT_FOUND);
        assert_eq!(of_source(Kind::Authentication), FORBIDDEN);
        assert_eq!(of_source(Kind::Invalid), OTHER, "what cannot be read differs in nothing");
        assert_eq!(of_source(Kind::Unavailable), OTHER);
    }
}
