//! `remove`: forgets transfers; unfinished ones are canceled first.

use towline_daemon::Verb;

use crate::args::{Common, Steering};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::steering::steer;

pub(crate) async fn run(
    args: Steering,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    steer(Verb::Remove, &args, common, output).await
}
