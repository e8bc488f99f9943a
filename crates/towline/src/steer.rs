//! Steering: pause, resume, retry, cancel, remove; one, or all that match.

use futures_util::future::join_all;
use towline_core::{Command, Direction, Priority, Query, State, TransferId};
use towline_engine::EngineError;
use towline_s3::Credentials;

use crate::{Error, TransferUtility};

/// How many are steered at the same time, so that they share a sync.
const AT_ONCE: usize = 256;

impl TransferUtility {
    /// Stops a transfer and keeps what it has moved. When this returns, nothing
    /// of it runs any more. False when nothing had to change: it was paused
    /// already, is being canceled, or is final.
    pub async fn pause(&self, id: TransferId) -> Result<bool, Error> {
        self.steer(id, Command::Pause).await
    }

    /// Goes on with a paused transfer. False when it was not paused.
    pub async fn resume(&self, id: TransferId) -> Result<bool, Error> {
        self.steer(id, Command::Resume).await
    }

    /// Goes on with a failed transfer; a canceled one starts anew. False when it
    /// was neither.
    pub async fn retry(&self, id: TransferId) -> Result<bool, Error> {
        self.steer(id, Command::Retry).await
    }

    /// Stops a transfer and removes what S3 and the disk hold of it. It is
    /// [`Canceled`](State::Canceled) once that is proven. False when it was
    /// canceled already, completed, or failed with nothing kept.
    pub async fn cancel(&self, id: TransferId) -> Result<bool, Error> {
        self.steer(id, Command::Cancel).await
    }

    /// Steers a transfer. False when nothing had to change, or it is final and
    /// stays as it is. Whatever changed is durable when this returns.
    pub async fn steer(&self, id: TransferId, command: Command) -> Result<bool, Error> {
        match self.engine().command(id, command).await {
            Err(EngineError::Refused(_)) => Ok(false),
            done => Ok(done?),
        }
    }

    /// Lets a transfer go ahead of others, or behind them, from now on. False when
    /// it does so already, or is completed. Durable when this returns.
    pub async fn prioritize(&self, id: TransferId, priority: Priority) -> Result<bool, Error> {
        self.steer(id, Command::Prioritize(priority)).await
    }

    /// Pauses every unfinished transfer of one direction, or of both. Gives
    /// those that were.
    pub async fn pause_all(&self, direction: Option<Direction>) -> Result<Vec<TransferId>, Error> {
        self.steer_all(Command::Pause, of(direction)).await
    }

    /// Resumes every paused transfer of one direction, or of both. Gives those
    /// that were.
    pub async fn resume_all(&self, direction: Option<Direction>) -> Result<Vec<TransferId>, Error> {
        self.steer_all(Command::Resume, of(direction)).await
    }

    /// Retries every failed transfer of one direction, or of both. Gives those
    /// that were.
    pub async fn retry_all(&self, direction: Option<Direction>) -> Result<Vec<TransferId>, Error> {
        self.steer_all(Command::Retry, of(direction)).await
    }

    /// Cancels every unfinished transfer of one direction, or of both. Gives
    /// those that were.
    pub async fn cancel_all(&self, direction: Option<Direction>) -> Result<Vec<TransferId>, Error> {
        self.steer_all(Command::Cancel, of(direction)).await
    }

    /// Steers every transfer that the query matches and the command is meant
    /// for in bulk: pause and cancel the unfinished ones, resume the paused
    /// ones, retry the failed ones. Nothing in bulk revives a canceled one. The
    /// query's own states are not looked at. Gives those that changed.
    pub async fn steer_all(
        &self,
        command: Command,
        query: Query,
    ) -> Result<Vec<TransferId>, Error> {
        let states = match command {
            Command::Pause => UNFINISHED.to_vec(),
            Command::Cancel => [&UNFINISHED[..], &[State::Paused]].concat(),
            Command::Resume => vec![State::Paused],
            Command::Retry => vec![State::Failed],
            Command::AllowOn(_) | Command::Prioritize(_) => {
                [&UNFINISHED[..], &[State::Paused, State::Failed]].concat()
            }
        };
        let ids = self.ids_of(Query { states, ..query }).await?;
        let mut changed = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            let steered = join_all(some.iter().map(|id| self.steer(*id, command))).await;
            for (id, steered) in some.iter().zip(steered) {
                match steered {
                    Ok(true) => changed.push(*id),
                    Ok(false) => {}
                    Err(error) if error.is_unknown() => {} // removed meanwhile
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(changed)
    }

    /// Forgets a transfer: its record, its parts and its temporary file. An
    /// unfinished one, and a failed one whose parts are kept, is canceled first,
    /// which takes as long as S3 takes. What was completed stays where it is.
    pub async fn remove(&self, id: TransferId) -> Result<(), Error> {
        loop {
            self.steer(id, Command::Cancel).await?;
            let ended = self.observe(id).await?.finished().await?;
            // None if somebody revived it in between.
            if self.engine().remove(vec![id]).await? > 0 {
                self.forget_copy(&ended.path);
                return Ok(());
            }
        }
    }

    /// Removes every final transfer that the query matches; its own states are
    /// not looked at. Gives those that were removed.
    pub async fn remove_all(&self, query: Query) -> Result<Vec<TransferId>, Error> {
        let states = vec![State::Completed, State::Canceled, State::Failed];
        let ids = self.ids_of(Query { states, ..query }).await?;
        self.remove_these(&ids).await
    }

    /// Removes these, canceled first where they are unfinished.
    pub(crate) async fn remove_these(&self, ids: &[TransferId]) -> Result<Vec<TransferId>, Error> {
        let mut gone = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            let removed = join_all(some.iter().map(|id| self.remove(*id))).await;
            for (id, removed) in some.iter().zip(removed) {
                match removed {
                    Ok(()) => gone.push(*id),
                    Err(error) if error.is_unknown() => {} // removed meanwhile
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(gone)
    }

    /// Goes on with unfinished transfers that nobody carries, and looks again at
    /// those that lacked credentials. Paused ones stay paused.
    pub fn carry(&self, ids: Vec<TransferId>) -> Result<(), Error> {
        Ok(self.engine().carry(ids)?)
    }

    /// Signs a transfer's requests from now on with the credentials of the
    /// process that asks for it, where its connection is of the environment.
    /// They stay in memory only, until it is final.
    pub fn hand_over(&self, id: TransferId, credentials: Option<&Credentials>) {
        if let Some(credentials) = credentials {
            self.connector().hand_over(id, credentials);
        }
    }

    pub(crate) async fn ids_of(&self, mut query: Query) -> Result<Vec<TransferId>, Error> {
        query.limit = 1000;
        let mut ids = Vec::new();
        loop {
            let page = self.store().find(query.clone()).await?;
            ids.extend(page.transfers.iter().map(|record| record.id));
            query.after = page.next;
            if query.after.is_none() {
                return Ok(ids);
            }
        }
    }
}

pub(crate) const UNFINISHED: [State; 3] =
    [State::Waiting, State::InProgress, State::WaitingForNetwork];

fn of(direction: Option<Direction>) -> Query {
    Query {
        direction,
        ..Query::default()
    }
}
