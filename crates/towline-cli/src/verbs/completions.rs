//! `completions`: what a shell has to know, made from the command line's
//! definition.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{Cli, Completions};
use crate::error::Error;
use crate::exit::Exit;

/// What the definition does not tell: transfers are called by their numbers.
const BASH: &str = include_str!("completions.bash");

pub(crate) fn run(args: Completions) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "towline", &mut script);
    if args.shell == Shell::Bash {
        script.extend_from_slice(BASH.as_bytes());
    }
    // A reader that went away wants to hear nothing more.
    let _ = std::io::stdout().write_all(&script);
    Ok(Exit::Done)
}
