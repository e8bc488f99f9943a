//! `pause`, `resume`, `cancel` and `remove` of a group as one: its listing stops or
//! goes on too.

use towline::{Group, State};
use towline_daemon::{GroupVerb, SteerGroup, Verb};

use super::stay::GroupStay;
use super::{GroupName, Groups, to_json};
use crate::args::{Common, Steering};
use crate::attach::Stay;
use crate::error::Error;
use crate::exit::Exit;
use crate::identity;
use crate::output::Output;
use crate::reach::{Reach, Wishes};

/// Steers a group. `None` where none that lists by itself is called so, or where
/// the verb is one for transfers.
pub(crate) async fn steer(
    verb: Verb,
    name: &GroupName,
    args: &Steering,
    common: &Common,
    output: &mut Output,
) -> Result<Option<Exit>, Error> {
    let verb = match verb {
        Verb::Pause => GroupVerb::Pause,
        Verb::Resume => GroupVerb::Resume,
        Verb::Cancel => GroupVerb::Cancel,
        Verb::Remove => GroupVerb::Remove,
        Verb::Retry | Verb::Carry => return Ok(None),
    };
    let dir = common.state_dir();
    let Some(group) = Groups::open(&dir).await?.named(name).await? else {
        return match name {
            GroupName::Id(id) => Err(Error::Failed(format!("there is no group {id}"))),
            GroupName::Name(_) => Ok(None),
        };
    };
    let mut reach = Reach::open(dir, Wishes::default()).await?;
    let mut stay = Stay::new(output)?;
    let credentials = match verb {
        GroupVerb::Pause => None,
        _ => identity::of_environment(),
    };
    let steer = SteerGroup {
        credentials: credentials.clone(),
    };
    let steered = tokio::select! {
        steered = reach.steer_group(verb, group.id, &steer) => steered?,
        exit = stay.signals.next() => return stay.leave(reach, exit, output).await.map(Some),
    };
    let done = say(
        verb,
        &group,
        steered.group.as_ref(),
        steered.changed,
        output,
    );
    let goal = match (verb, reach.own().is_some()) {
        // Nobody else would go on with it.
        (GroupVerb::Resume, true) => State::Completed,
        (GroupVerb::Cancel, _) => State::Canceled,
        _ => State::Waiting,
    };
    let open = steered.group.filter(|group| group.ended_at.is_none());
    let exit = match open {
        Some(group) if goal.is_final() => {
            let staying = GroupStay {
                group,
                cursor: steered.cursor,
                credentials,
                waiting: &args.waiting,
                goal,
            };
            staying.attach(reach, stay, output).await?
        }
        _ => {
            reach.leave().await?;
            Exit::Done
        }
    };
    Ok(Some(match exit {
        Exit::Done if !done => Exit::Failed,
        exit => exit,
    }))
}

/// Says what became of it; tells whether that is what was asked for.
fn say(
    verb: GroupVerb,
    before: &Group,
    after: Option<&Group>,
    changed: bool,
    output: &mut Output,
) -> bool {
    let (id, name) = (before.id, verb.as_str());
    if output.is_json() {
        let group = after.map(to_json);
        output.json_line(&serde_json::json!({ "changed": changed, "group": group, "id": id }));
    }
    let Some(group) = after else {
        output.line(&format!("removed group {id}"));
        return verb == GroupVerb::Remove;
    };
    let state = group.state;
    let done = match verb {
        GroupVerb::Pause => state == State::Paused,
        GroupVerb::Resume if state == State::Completed => changed,
        GroupVerb::Resume => !state.is_final() && state != State::Paused,
        GroupVerb::Cancel => state == State::Canceled || !state.is_final(),
        GroupVerb::Remove | GroupVerb::Carry => false,
    };
    match (done, changed) {
        (true, true) => output.line(&format!("group {id} {}", told(verb, state))),
        (true, false) => output.line(&format!("group {id} {} already", told(verb, state))),
        (false, _) => output.error(&format!(
            "group {id} is {state}, there is nothing to {name}"
        )),
    }
    done
}

fn told(verb: GroupVerb, state: State) -> &'static str {
    match (verb, state.is_final()) {
        (GroupVerb::Cancel, false) => "canceling",
        _ => state.as_str(),
    }
}
