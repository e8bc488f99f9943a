//! `daemon`: a process that owns the state and carries all that is in it.

mod run;
mod start;
mod status;
mod stop;
mod units;

use std::path::PathBuf;

use crate::args::{Common, Daemon, DaemonVerb};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) async fn run(args: Daemon, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    match args.verb {
        DaemonVerb::Run(args) => run::run(args, common).await,
        DaemonVerb::Start(args) => start::run(args, common, output).await,
        DaemonVerb::Stop => stop::run(common, output).await,
        DaemonVerb::Status => status::run(common, output).await,
        DaemonVerb::Units(args) => units::run(args, output),
    }
}

/// The state directory, wherever the process goes.
fn state_dir(common: &Common) -> Result<PathBuf, Error> {
    let dir = common.state_dir();
    std::path::absolute(&dir).map_err(|error| Error::Failed(format!("{}: {error}", dir.display())))
}
