//! The `towline` command: one file per verb in `verbs`, parsed types in, one
//! [`Output`] for people and programs, documented exit codes.

mod args;
mod attach;
mod detach;
mod error;
mod exit;
mod identity;
mod output;
mod parse;
mod prefix;
mod progress;
mod reach;
mod steering;
mod url;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Verb};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.common.verbose);
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

async fn run(cli: Cli, output: &mut Output) -> Result<Exit, Error> {
    let common = &cli.common;
    match cli.verb {
        Verb::Upload(args) => verbs::upload::run(args, common, output).await,
        Verb::Download(args) => verbs::download::run(args, common, output).await,
        Verb::List(args) => verbs::list::run(args, common, output).await,
        Verb::Show(args) => verbs::show::run(args, common, output).await,
        Verb::Watch(args) => verbs::watch::run(args, common, output).await,
        Verb::Pause(args) => verbs::pause::run(args, common, output).await,
        Verb::Resume(args) => verbs::resume::run(args, common, output).await,
        Verb::Retry(args) => verbs::retry::run(args, common, output).await,
        Verb::Cancel(args) => verbs::cancel::run(args, common, output).await,
        Verb::Remove(args) => verbs::remove::run(args, common, output).await,
        Verb::Doctor(args) => verbs::doctor::run(args, common, output).await,
        Verb::Verify(args) => verbs::verify::run(args, common, output).await,
        Verb::Daemon(args) => verbs::daemon::run(args, common).await,
        #[cfg(feature = "demo")]
        Verb::Demo(args) => verbs::demo::run(args, output).await,
    }
}

fn log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = match verbose {
        0 => "warn",
        1 => "towline=info,towline_engine=info,warn",
        2 => "towline=debug,towline_engine=debug,towline_s3=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("TOWLINE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
