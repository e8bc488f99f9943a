//! `daemon units`: what systemd has to know.

use crate::args::Units;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

const SYSTEM: &str = include_str!("towline.service");
const USER: &str = include_str!("towline-user.service");

pub(crate) fn run(args: Units, output: &mut Output) -> Result<Exit, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::Failed(format!("cannot tell where this program is: {error}")))?;
    let program = program.to_string_lossy();
    if program.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\%$".contains(c)) {
        return Err(Error::Failed(format!(
            "systemd cannot be told of a program at {program}; install it under a plain name"
        )));
    }
    let unit = if args.user { USER } else { SYSTEM };
    output.line(unit.replace("/usr/bin/towline", &program).trim_end());
    Ok(Exit::Done)
}
