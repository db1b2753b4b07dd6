//! Where does the HTTP API listen, and whom does it answer? Options of `run`.

use crate::config::Serving;
use api::{TlsFiles, Transport};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The options.
pub(super) fn arguments() -> [Arg; 6] {
    let file = |name: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf))
    };
    [
        Arg::new("listen")
            .long("listen")
            .value_name("ADDR")
            .default_value("127.0.0.1:8080")
            .value_parser(value_parser!(SocketAddr))
            .help("Where the HTTP API listens; any address but loopback asks for tokens, and needs TLS"),
        Arg::new("authenticate")
            .long("authenticate")
            .action(ArgAction::SetTrue)
            .help("Ask callers for a token on loopback, too; their rights are those on applications.argoproj.io"),
        Arg::new("audience")
            .long("audience")
            .value_name("NAME")
            .action(ArgAction::Append)
            .value_parser(clap::builder::NonEmptyStringValueParser::new())
            .help("Whom tokens must be made for [default: the API server]; may be given several times"),
        file("tls-cert")
            .requires("tls-key")
            .help("Certificate of the HTTP API and what leads to its authority (PEM); read anew when it changes"),
        file("tls-key").requires("tls-cert").help("Private key of the certificate (PEM)"),
        Arg::new("insecure-http")
            .long("insecure-http")
            .action(ArgAction::SetTrue)
            .conflicts_with("tls-cert")
            .help("Listen without TLS where others can read along; for what stands behind a proxy that speaks TLS"),
    ]
}

/// Reads the options.
///
/// # Errors
/// A sentence, where others could reach the API, or read along, without anybody having asked for that.
pub(super) fn read(arguments: &ArgMatches) -> Result<Serving, String> {
    let path = |name: &str| arguments.get_one::<PathBuf>(name).cloned();
    let listen = arguments.get_one::<SocketAddr>("listen").copied().expect("it has a default");
    let transport = match (path("tls-cert"), path("tls-key")) {
        (Some(certificate), Some(key)) => Transport::Tls(TlsFiles { certificate, key }),
        _ if arguments.get_flag("insecure-http") => Transport::InsecurePlain,
        _ => Transport::Plain,
    };
    let serving = Serving {
        listen,
        authenticate: arguments.get_flag("authenticate") || !listen.ip().is_loopback(),
        audiences: arguments.get_many("audience").into_iter().flatten().cloned().collect(),
        transport,
    };
    api::check_exposure(listen, serving.authenticate, &serving.transport)
        .map_err(|sentence| format!("--listen: {sentence}"))?;
    if !serving.audiences.is_empty() && !serving.authenticate {
        return Err(
            "--audience says whom tokens must be made for, and none are asked for: add --authenticate".into(),
        );
    }
    Ok(serving)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Serving, String> {
        let command = clap::Command::new("run").args(arguments());
        let matches = command.try_get_matches_from([&["run"], options].concat());
        read(&matches.map_err(|error| error.to_string())?)
    }

    #[test]
    fn loopback_is_open_unless_tokens_are_asked_for() {
        let open = parse(&[]).unwrap();
        assert_eq!(open.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!((open.authenticate, open.transport), (false, Transport::Plain));
        assert!(parse(&["--authenticate", "--listen", "[::1]:80"]).unwrap().authenticate);
        let files = TlsFiles { certificate: "a".into(), key: "b".into() };
        let encrypted = parse(&["--tls-cert", "a", "--tls-key", "b"]).unwrap();
        assert_eq!((encrypted.authenticate, encrypted.transport), (false, Transport::Tls(files)));
    }

    #[test]
    fn any_other_address_asks_for_tokens_and_needs_tls_or_a_word() {
        for address in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:80", "[::ffff:127.0.0.1]:80"] {
            let refused = parse(&["--listen", address]).unwrap_err();
            assert!(refused.starts_with("--listen: ") && refused.contains("--tls-cert"), "{refused}");
            parse(&["--listen", address, "--authenticate"]).unwrap_err();
            for private in [&["--insecure-http"][..], &["--tls-cert", "a", "--tls-key", "b"]] {
                let serving = parse(&[&["--listen", address], private].concat()).unwrap();
                assert!(serving.authenticate, "{address}");
            }
        }
    }

    #[test]
    fn options_that_go_together_are_asked_for_together() {
        for options in [
            &["--tls-cert", "a"][..],
            &["--tls-key", "a"],
            &["--tls-cert", "a", "--tls-key", "b", "--insecure-http"],
            &["--audience", "tautline"],
            &["--authenticate", "--audience", ""],
        ] {
            parse(options).unwrap_err();
        }
        let serving = parse(&["--authenticate", "--audience", "a", "--audience", "b"]).unwrap();
        assert_eq!(serving.audiences, ["a", "b"]);
    }
}
