//! `cancel`: stops transfers and removes what S3 and the disk hold of them.

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
    steer(Verb::Cancel, &args, common, output).await
}
