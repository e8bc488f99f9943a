//! `upload` of a directory, `download` and `copy` of a prefix, and `sync`: each is one
//! group, which is recorded before anything is listed and lists by itself.

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
    request: GroupRequest,
    (running, waiting): (&Running, &Waiting),
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let asked = Asked::of(request, common)?;
    if running.detach {
        return asked.detach(common, output).await;
    }
    let (_apart, dir) = state_dir(running, common)?;
    let mut reach = Reach::open(dir, asked.wishes(running)?).await?;
    let mut stay = Stay::new(output)?;
    match asked.begin(&mut reach, &mut stay, waiting).await? {
        Ok(staying) => staying.attach(reach, stay, output).await,
        Err(exit) => stay.leave(reach, exit, output).await,
    }
}

/// A group that a command asks for, with what is handed over for it.
pub(crate) struct Asked(BeginGroup);

impl Asked {
    pub(crate) fn of(mut request: GroupRequest, common: &Common) -> Result<Self, Error> {
        let (connection, credentials) = identity::connection(common)?;
        request.connection = Some(connection);
        // The owner may have another directory to start from.
        if request.direction != Direction::Copy {
            request.path = std::path::absolute(&request.path)
                .map_err(|error| Error::Failed(format!("{}: {error}", request.path.display())))?;
        }
        Ok(Self(BeginGroup {
            request,
            credentials,
        }))
    }

    pub(crate) fn name(&self) -> Result<String, Error> {
        Ok(self.0.request.name()?)
    }

    pub(crate) fn wishes(&self, running: &Running) -> Result<Wishes, Error> {
        let direction = self.0.request.direction;
        Ok(Wishes::of_group(&self.name()?, direction, running))
    }

    /// Leaves it to a process in the background.
    pub(crate) async fn detach(&self, common: &Common, output: &mut Output) -> Result<Exit, Error> {
        let begin = async |owner: &Client| owner.begin_group(&self.0).await;
        let group = detached(&common.state_dir(), begin).await?.group;
        match output.is_json() {
            true => output.json_line(&to_json(&group)),
            false => output.line(&format!("group {}", group.id)),
        }
        Ok(Exit::Done)
    }

    /// Has it begun, to be stayed with. `Err` where a signal came first.
    pub(crate) async fn begin<'a>(
        self,
        reach: &mut Reach,
        stay: &mut Stay,
        waiting: &'a Waiting,
    ) -> Result<Result<GroupStay<'a>, Exit>, Error> {
        let begun = tokio::select! {
            // With --restart what was begun is canceled first.
            begun = reach.begin_group(&self.0) => begun,
            exit = stay.signals.next() => return Ok(Err(exit)),
        };
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => {
                reach.lift_caps().await;
                return Err(error);
            }
        };
        Ok(Ok(GroupStay {
            group: begun.group,
            cursor: begun.cursor,
            credentials: self.0.credentials,
            waiting,
            goal: State::Completed,
        }))
    }
}
