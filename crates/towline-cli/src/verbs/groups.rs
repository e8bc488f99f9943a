//! `groups`: the directories that are uploaded and the prefixes that are
//! downloaded, each as one; or one of them, with what it left out.

use crate::args::{self, Common};
use crate::error::Error;
use crate::exit::Exit;
use crate::group::{Groups, say};
use crate::output::Output;

pub(crate) async fn run(
    args: args::Groups,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let source = Groups::open(&common.state_dir()).await?;
    if let Some(name) = &args.group {
        let Some(group) = source.named(name).await? else {
            return Err(Error::Failed(format!("there is no group {name}")));
        };
        say(&group, output);
        source.say_left_out(&group, output).await?;
        return Ok(Exit::Done);
    }
    let mut groups = source
        .newest(args.unfinished, args.limit.saturating_add(1))
        .await?;
    let more = groups.len() > args.limit;
    groups.truncate(args.limit);
    for group in groups.iter().rev() {
        say(group, output);
    }
    if groups.is_empty() {
        output.line("no groups");
    }
    if more {
        output.remark(&format!("the newest {}; --limit shows more", args.limit));
    }
    Ok(Exit::Done)
}
