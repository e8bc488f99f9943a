//! A line for each change of a group's state, until it has its end.

use std::time::{Duration, Instant};

use crate::args::Common;
use crate::error::Error;
use crate::exit::Exit;
use crate::group::{APART, GroupName, Groups, LOOK, say};
use crate::output::Output;

pub(super) async fn run(
    name: &GroupName,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let dir = common.state_dir();
    let mut name = name.clone();
    let mut told = None;
    loop {
        let begun = Instant::now();
        let Some(group) = Groups::open(&dir).await?.named(&name).await? else {
            let what = if told.is_some() { "no longer a" } else { "no" };
            return Err(Error::Failed(format!("there is {what} group {name}")));
        };
        // Of a name it is the newest, and stays that one.
        name = GroupName::Id(group.id);
        // Programs are told of counts too.
        let counts = output.is_json().then_some((group.found, group.transfers));
        let why = group.error.as_ref().map(|error| error.code.clone());
        let now = (group.state, group.listing, why, counts);
        if told.as_ref() != Some(&now) {
            say(&group, output);
            told = Some(now);
        }
        if group.ended_at.is_some() || output.is_unheard() {
            return Ok(Exit::Done);
        }
        // Each of its transfers was counted.
        let rest: Duration = LOOK.max(begun.elapsed() * APART);
        tokio::time::sleep(rest).await;
    }
}
