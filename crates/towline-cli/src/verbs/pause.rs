//! `pause`: stops transfers and keeps what they have moved.

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
    steer(Verb::Pause, &args, common, output).await
}
