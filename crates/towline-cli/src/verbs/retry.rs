//! `retry`: goes on with failed transfers, and starts canceled ones anew.

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
    steer(Verb::Retry, &args, common, output).await
}
