//! `open`: shows the service's page in a browser that is logged in.

use std::process::{Command, Stdio};

use towline_daemon::{Client, LoginCodeRequest};

use crate::args::{Common, Open};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) async fn run(args: Open, common: &Common, out: &mut Output) -> Result<Exit, Error> {
    let dir = common.state_dir();
    let (client, _) = Client::connect(&dir).await.map_err(|error| match error {
        error if error.is_gone() => Error::Failed(format!(
            "no service runs on {}; start one with `towline daemon run --listen 127.0.0.1:0`",
            dir.display()
        )),
        error => error.into(),
    })?;
    // A browser's command line can be seen by other users; what a person
    // copies cannot, and may be for a browser of another one.
    let own_user = !args.print;
    let code = client.login_code(&LoginCodeRequest { own_user }).await?;
    if args.print {
        out.login(&code);
        return Ok(Exit::Done);
    }
    browse(&code.url)?;
    Ok(Exit::Done)
}

fn browse(url: &str) -> Result<(), Error> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let cannot = |why: String| {
        Error::Failed(format!(
            "{opener} opened no browser ({why}); `towline open --print` gives the address"
        ))
    };
    let quiet = Stdio::null;
    let mut opening = Command::new(opener);
    opening
        .arg(url)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet());
    let ended = opening
        .status()
        .map_err(|error| cannot(error.to_string()))?;
    if ended.success() {
        return Ok(());
    }
    Err(cannot(ended.to_string()))
}
