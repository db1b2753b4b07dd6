//! What completes the commands in a person's shell?

use crate::exit::{CODES, USAGE};
use crate::tools::print;
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use std::process::ExitCode;

/// The command `completion`.
pub(crate) fn command() -> Command {
    Command::new("completion")
        .about("Prints what completes commands in a shell: source <(tautline completion bash)")
        .after_help(CODES)
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(["bash", "zsh", "fish"])
                .help("Which shell"),
        )
}

/// Prints it.
pub(crate) fn run(arguments: &ArgMatches, mut program: Command) -> ExitCode {
    let shell = match arguments.get_one::<String>("shell").map(String::as_str) {
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        Some(_) | None => return ExitCode::from(USAGE),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "tautline", &mut script);
    print(&String::from_utf8_lossy(&script), ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands_and_options_are_all_right() {
        crate::cli::command().debug_assert();
    }
}
