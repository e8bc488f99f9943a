//! The `towline` command: one file per verb in `verbs`, parsed types in, one
//! [`Output`] for people and programs, documented exit codes.

mod apart;
mod args;
mod attach;
mod background;
mod columns;
mod detach;
mod error;
mod exit;
mod from_list;
mod group;
mod halving;
mod identity;
mod listing;
mod logging;
mod output;
mod parse;
mod process;
mod progress;
#[cfg(test)]
#[path = "../tests/pty/mod.rs"]
mod pty;
mod reach;
mod serving;
mod steering;
mod stream;
mod systemd;
mod url;
mod verbs;
mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Verb};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    leave_no_core();
    keep_freed_memory();
    let cli = Cli::parse();
    let _log = logging::start(&cli);
    let mut output = Output::new(&cli.common);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&format!("cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    let result = runtime.block_on(run(cli, &mut output));
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error.to_string());
            error.exit().into()
        }
    }
}

/// Memory holds secrets, and a core file would keep them.
fn leave_no_core() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Less may always be asked for; where there are no limits there is none to set.
    let _ = setrlimit(Resource::Core, nothing);
}

/// glibc gives memory back as soon as some 256 KiB of it are free, and a download frees
/// that with each buffer: to get it back costs a sixth of its CPU time (`bench/README.md`).
/// It keeps about twice of the largest block that it saw come and go; this one is never
/// touched, so it takes no memory itself.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(2 << 20)));
}

async fn run(cli: Cli, output: &mut Output) -> Result<Exit, Error> {
    let common = &cli.common;
    match cli.verb {
        Verb::Upload(args) => verbs::upload::run(args, common, output).await,
        Verb::Copy(args) => verbs::copy::run(*args, common, output).await,
        Verb::Download(args) => verbs::download::run(args, common, output).await,
        Verb::Sync(args) => verbs::sync::run(*args, common, output).await,
        Verb::List(args) => verbs::list::run(args, common, output).await,
        Verb::Groups(args) => verbs::groups::run(args, common, output).await,
        Verb::Show(args) => verbs::show::run(args, common, output).await,
        Verb::Watch(args) => verbs::watch::run(args, common, output).await,
        Verb::Pause(args) => verbs::pause::run(args, common, output).await,
        Verb::Resume(args) => verbs::resume::run(args, common, output).await,
        Verb::Retry(args) => verbs::retry::run(args, common, output).await,
        Verb::Cancel(args) => verbs::cancel::run(args, common, output).await,
        Verb::Remove(args) => verbs::remove::run(args, common, output).await,
        Verb::Limits(args) => verbs::limits::run(args, common, output).await,
        Verb::Doctor(args) => verbs::doctor::run(args, common, output).await,
        Verb::Verify(args) => verbs::verify::run(args, common, output).await,
        Verb::Ls(args) => verbs::ls::run(args, common, output).await,
        Verb::Du(args) => verbs::du::run(args, common, output).await,
        Verb::Head(args) => verbs::head::run(args, common, output).await,
        Verb::Rm(args) => verbs::rm::run(args, common, output).await,
        Verb::Presign(args) => verbs::presign::run(args, common, output).await,
        Verb::Daemon(args) => verbs::daemon::run(args, common, output).await,
        Verb::Open(args) => verbs::open::run(args, common, output).await,
        Verb::Completions(args) => verbs::completions::run(args),
        Verb::Man(args) => verbs::man::run(args, output),
        #[cfg(feature = "demo")]
        Verb::Demo(args) => verbs::demo::run(args, output).await,
    }
}
