//! `upload` of a directory, and `download` and `copy` of a prefix: each is one group,
//! which is recorded before anything is listed and lists by itself.

use towline::{Direction, GroupRequest, State};
use towline_daemon::{BeginGroup, Client};

use super::stay::GroupStay;
use super::to_json;
use crate::args::{Common, Running, Waiting};
use crate::attach::Stay;
use crate::detach::detached;
use crate::error::Error;
use crate::exit::Exit;
use crate::identity;
use crate::output::Output;
use crate::reach::{Reach, Wishes};
use crate::verbs::state_dir;

pub(crate) async fn run(
    mut request: GroupRequest,
    (running, waiting): (&Running, &Waiting),
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let (connection, credentials) = identity::connection(common)?;
    request.connection = Some(connection);
    // The owner may have another directory to start from.
    if request.direction != Direction::Copy {
        request.path = std::path::absolute(&request.path)
            .map_err(|error| Error::Failed(format!("{}: {error}", request.path.display())))?;
    }
    let wishes = Wishes::of_group(&request.name()?, request.direction, running);
    let begin = BeginGroup {
        request,
        credentials: credentials.clone(),
    };
    if running.detach {
        let begin = async |owner: &Client| owner.begin_group(&begin).await;
        let group = detached(&common.state_dir(), begin).await?.group;
        match output.is_json() {
            true => output.json_line(&to_json(&group)),
            false => output.line(&format!("group {}", group.id)),
        }
        return Ok(Exit::Done);
    }
    let (_apart, dir) = state_dir(running, common)?;
    let mut reach = Reach::open(dir, wishes).await?;
    let mut stay = Stay::new(output)?;
    let begun = tokio::select! {
        // With --restart what was begun is canceled first.
        begun = reach.begin_group(&begin) => begun,
        exit = stay.signals.next() => return stay.leave(reach, exit, output).await,
    };
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => {
            reach.lift_caps().await;
            return Err(error);
        }
    };
    let staying = GroupStay {
        group: begun.group,
        cursor: begun.cursor,
        credentials,
        waiting,
        goal: State::Completed,
    };
    staying.attach(reach, stay, output).await
}
