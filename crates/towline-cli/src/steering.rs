//! What `pause`, `resume`, `retry`, `cancel` and `remove` have in common.

use std::str::FromStr;

use towline::{State, TransferId};
use towline_daemon::{Seen, Steer, Steered, SteeredOne, Verb, Which};

use crate::args::{Common, Steering};
use crate::attach::Attachment;
use crate::error::Error;
use crate::exit::Exit;
use crate::group::{self, Groups};
use crate::identity;
use crate::output::{Output, state_text};
use crate::reach::{Reach, Wishes};
use crate::url::S3Url;

/// What a person calls transfers by.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// One, by its number.
    Id(TransferId),
    /// All to or from an object.
    Object(S3Url),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("s3://") {
            let url: S3Url = text.parse()?;
            url.key().map_err(|error| error.to_string())?;
            return Ok(Self::Object(url));
        }
        let id = text.parse().map(Self::Id);
        id.map_err(|_| format!("{text:?} is neither a transfer's number nor s3://BUCKET/KEY"))
    }
}

/// Does one thing to transfers, and says what became of each.
pub(crate) async fn steer(
    verb: Verb,
    args: &Steering,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    if let Some(name) = &args.group
        && let Some(exit) = group::steer(verb, name, args, common, output).await?
    {
        return Ok(exit);
    }
    let mut reach = Reach::open(common.state_dir(), Wishes::default()).await?;
    let steer = request(verb, args, &reach).await?;
    let steered = reach.steer(verb, &steer).await?;
    let mut all_done = true;
    for one in &steered.transfers {
        all_done &= say(verb, one, output);
    }
    if args.all && steered.transfers.is_empty() {
        output.remark(&format!("nothing to {}", verb.as_str()));
    } else if !args.all && steered.transfers.is_empty() {
        output.error(&format!("nothing there to {}", verb.as_str()));
        all_done = false;
    }
    let goal = match (verb, reach.own().is_some()) {
        // Nobody else would go on with it.
        (Verb::Resume | Verb::Retry, true) => State::Completed,
        (Verb::Cancel, _) => State::Canceled,
        _ => {
            reach.leave().await?;
            return Ok(if all_done { Exit::Done } else { Exit::Failed });
        }
    };
    let attached = Attachment {
        transfers: unfinished(&mut reach, &steered).await?,
        cursor: steered.cursor,
        credentials: steer.credentials,
        waiting: &args.waiting,
        goal,
    };
    let exit = attached.attach(reach, output).await?;
    Ok(match exit {
        Exit::Done if !all_done => Exit::Failed,
        exit => exit,
    })
}

async fn request(verb: Verb, args: &Steering, reach: &Reach) -> Result<Steer, Error> {
    let mut steer = Steer::default();
    for target in &args.targets {
        match target {
            Target::Id(id) => steer.ids.push(*id),
            Target::Object(url) => steer.all.push(Which {
                direction: args.kind.direction(),
                bucket: Some(url.bucket.as_str().to_owned()),
                key: Some(url.rest.clone()),
                ..Which::default()
            }),
        }
    }
    if args.all {
        steer.all.push(Which {
            direction: args.kind.direction(),
            ..Which::default()
        });
    }
    if let Some(group) = &args.group {
        let listed = Groups::of(reach).named(group).await?;
        steer.all.push(Which {
            group: Some(listed.map_or_else(|| group.to_string(), |listed| listed.name)),
            ..Which::default()
        });
    }
    if verb != Verb::Pause {
        steer.credentials = identity::of_environment();
    }
    Ok(steer)
}

/// Those that were steered and have not ended yet.
pub(crate) async fn unfinished(reach: &mut Reach, steered: &Steered) -> Result<Vec<Seen>, Error> {
    let mut open = Vec::new();
    for one in &steered.transfers {
        if one.state.is_some_and(|state| !state.is_final()) {
            open.push(reach.show(one.id).await?.seen);
        }
    }
    Ok(open)
}

/// Says what became of one; tells whether that is what was asked for.
fn say(verb: Verb, one: &SteeredOne, output: &mut Output) -> bool {
    if output.is_json() {
        output.json_line(&serde_json::to_value(one).unwrap_or_default());
    }
    if let Some(problem) = &one.problem {
        output.error(&problem.detail);
        return false;
    }
    let (id, name) = (one.id, verb.as_str());
    let Some(state) = one.state else {
        output.line(&format!("removed {id}"));
        return true;
    };
    let done = is_as_asked(verb, state, one.changed);
    match (done, one.changed) {
        (true, true) => output.line(&format!("{id} {}", state_text(state, one.reason))),
        (true, false) => output.line(&format!("{id} {} already", state_text(state, one.reason))),
        (false, true) => output.error(&format!("{id} is {state}")),
        (false, false) => output.error(&format!("{id} is {state}, there is nothing to {name}")),
    }
    done
}

/// Whether a state, looked at after the verb was done, is what was asked for. A
/// small transfer that was resumed may have ended by then.
fn is_as_asked(verb: Verb, state: State, changed: bool) -> bool {
    match verb {
        Verb::Pause => state == State::Paused,
        Verb::Resume | Verb::Retry if state == State::Completed => changed,
        Verb::Resume | Verb::Retry => !state.is_final() && state != State::Paused,
        Verb::Cancel => state == State::Canceled || changed || !state.is_final(),
        Verb::Remove | Verb::Carry => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by kills at random: `resume --all` failed with 1, as an empty file
    /// was sent before its state was looked at.
    #[test]
    fn what_is_completed_by_the_time_it_is_looked_at_was_resumed() {
        for verb in [Verb::Resume, Verb::Retry] {
            assert!(is_as_asked(verb, State::Completed, true));
            assert!(!is_as_asked(verb, State::Completed, false), "it was before");
            assert!(!is_as_asked(verb, State::Failed, true), "it failed again");
            assert!(is_as_asked(verb, State::InProgress, true));
        }
    }
}
