//! The way to whoever owns the state: another process, or this one where there
//! is none.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use towline::{
    Bandwidth, Config, Direction, GroupId, Rate, Recovery, StoreError, TransferId, TransferUtility,
};
use towline_daemon::{
    About, BeginGroup, Client, ClientError, GroupBegun, GroupSteered, GroupVerb, Mode, Routes,
    Server, Service, SetCaps, SetLimits, Shown, Steer, SteerGroup, Steered, Submit, Submitted,
    Verb,
};

use crate::args::{Keeping, Moving, Running};
use crate::error::Error;

/// How long an owner may stay out of reach: it may be starting or leaving.
const PATIENCE: Duration = Duration::from_secs(8);

/// Reaches the owner of one state, across owners.
pub(crate) struct Reach {
    pub(crate) client: Client,
    place: Place,
    own: Option<Owner>,
}

/// Which state, and how this process would run it.
#[derive(Clone, Debug)]
struct Place {
    dir: PathBuf,
    config: Config,
    service: Service,
    /// What each owner is told.
    caps: Option<SetLimits>,
    keeping: Keeping,
}

/// How a command wants its transfers to be carried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Requests at one time, where this process owns the state.
    pub(crate) concurrency: Option<u16>,
    /// The most bytes a second. Another owner, which carries more than this
    /// command's transfers, is not asked for it.
    pub(crate) bandwidth: Bandwidth,
    /// The most requests a second; the same holds for it.
    pub(crate) request_rate: Option<NonZeroU32>,
    /// Limits that whoever owns the state is to have.
    pub(crate) caps: Option<SetLimits>,
}

impl Wishes {
    /// Those of transfers that are one group: a cap is one of the group, whoever
    /// owns the state.
    pub(crate) fn of_group(group: &str, direction: Direction, running: &Running) -> Self {
        let cap = |rate: Rate| {
            let mut caps = SetCaps::LIFT;
            let of_direction = match direction {
                Direction::Upload | Direction::Copy => &mut caps.upload,
                Direction::Download => &mut caps.download,
            };
            *of_direction = Some(Some(rate.bytes_per_second()));
            SetLimits {
                groups: [(group.to_owned(), Some(caps))].into(),
                ..SetLimits::default()
            }
        };
        Self {
            concurrency: running.concurrency,
            request_rate: running.request_rate,
            caps: running.bandwidth.map(cap),
            ..Self::default()
        }
    }
}

/// This process, as the owner.
pub(crate) struct Owner {
    pub(crate) utility: TransferUtility,
    server: Server,
}

impl Reach {
    /// Finds the owner, or becomes it: to carry what is asked of it, and
    /// nothing else.
    pub(crate) async fn open(dir: PathBuf, wishes: Wishes) -> Result<Self, Error> {
        let mut config = config(wishes.concurrency);
        config.recovery = Recovery::Named;
        config.bandwidth = wishes.bandwidth;
        config.request_rate = wishes.request_rate;
        Self::of(Place {
            dir,
            config,
            service: Service::new(Mode::Command),
            caps: wishes.caps,
            keeping: Keeping::default(),
        })
        .await
    }

    async fn of(place: Place) -> Result<Self, Error> {
        let start = Instant::now();
        loop {
            match Client::connect(&place.dir).await {
                Ok((client, about)) => match place.tell(&client, &about).await {
                    Ok(()) => {
                        return Ok(Self {
                            client,
                            place,
                            own: None,
                        });
                    }
                    Err(Error::Owner(error)) if error.is_gone() && start.elapsed() < PATIENCE => {}
                    Err(error) => return Err(error),
                },
                Err(ClientError::Gone(_)) => {}
                Err(error) => return Err(error.into()),
            }
            match Owner::start(&place).await {
                Ok(own) => {
                    let client = Client::of(&place.dir);
                    if let Some(caps) = &place.caps {
                        client.set_limits(caps).await?;
                    }
                    return Ok(Self {
                        client,
                        place,
                        own: Some(own),
                    });
                }
                // Somebody was faster, and can be reached in a moment.
                Err(Error::Towline(towline::Error::Store(StoreError::Owned { .. })))
                    if start.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(soon()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds the next owner, or becomes it, after the last one has gone.
    pub(crate) async fn again(&mut self) -> Result<(), Error> {
        if self.own.is_some() {
            // It is this process that cannot go on.
            return Err(Error::Failed(
                "the transfers cannot be recorded any more; the same command goes on".into(),
            ));
        }
        *self = Self::of(self.place.clone()).await?;
        Ok(())
    }

    /// Of the state.
    pub(crate) fn dir(&self) -> &Path {
        &self.place.dir
    }

    /// This process, if it is the owner.
    pub(crate) fn own(&self) -> Option<&Owner> {
        self.own.as_ref()
    }

    /// Lifts the caps of groups that owners were told: the command is done. One
    /// that is gone has none any more.
    pub(crate) async fn lift_caps(&mut self) {
        let Some(mut caps) = self.place.caps.take() else {
            return;
        };
        caps.groups.values_mut().for_each(|caps| *caps = None);
        let _ = self.client.set_limits(&caps).await;
    }

    /// Submits to whoever owns the state.
    pub(crate) async fn submit(&mut self, submit: &Submit) -> Result<Submitted, Error> {
        self.ask(async |owner| owner.submit(submit).await).await
    }

    /// Steers through whoever owns the state.
    pub(crate) async fn steer(&mut self, verb: Verb, steer: &Steer) -> Result<Steered, Error> {
        self.ask(async |owner| owner.steer(verb, steer).await).await
    }

    /// Begins a group with whoever owns the state.
    pub(crate) async fn begin_group(&mut self, begin: &BeginGroup) -> Result<GroupBegun, Error> {
        self.ask(async |owner| owner.begin_group(begin).await).await
    }

    /// Steers a group through whoever owns the state.
    pub(crate) async fn steer_group(
        &mut self,
        verb: GroupVerb,
        id: GroupId,
        steer: &SteerGroup,
    ) -> Result<GroupSteered, Error> {
        self.ask(async |owner| owner.steer_group(verb, id, steer).await)
            .await
    }

    /// Asks whoever owns the state how a transfer is.
    pub(crate) async fn show(&mut self, id: TransferId) -> Result<Shown, Error> {
        self.ask(async |owner| owner.show(id).await).await
    }

    /// Asks the owner, and the next one when that has gone.
    async fn ask<T>(
        &mut self,
        ask: impl AsyncFn(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Error> {
        loop {
            match ask(&self.client).await {
                Err(error) if error.is_gone() => self.again().await?,
                done => return Ok(done?),
            }
        }
    }

    /// Leaves: an owner stops its acts and hands over to whoever waits.
    pub(crate) async fn leave(self) -> Result<(), Error> {
        match self.own {
            Some(own) => own.leave().await,
            None => Ok(()),
        }
    }
}

impl Place {
    /// Tells another owner what this command wants; fails where that is not its
    /// to ask.
    async fn tell(&self, client: &Client, about: &About) -> Result<(), Error> {
        let Bandwidth { upload, download } = self.config.bandwidth;
        let given = match (upload, download, self.config.request_rate) {
            (None, None, None) => None,
            (Some(_), ..) => Some(("--bandwidth", "--upload RATE")),
            (None, Some(_), _) => Some(("--bandwidth", "--download RATE")),
            (None, None, Some(_)) => Some(("--request-rate", "--request-rate N")),
        };
        if let Some((option, instead)) = given {
            return Err(Error::Failed(format!(
                "process {} owns the state and carries other transfers too, so {option} cannot \
                 be set for these alone; `towline limits {instead}` sets it for all of them, \
                 and --ephemeral carries these apart",
                about.pid
            )));
        }
        if let Some(caps) = &self.caps {
            client.set_limits(caps).await?;
        }
        Ok(())
    }
}

impl Owner {
    async fn start(place: &Place) -> Result<Self, Error> {
        let mut builder = TransferUtility::builder()
            .state_dir(&place.dir)
            .config(place.config.clone());
        if let Some(most) = place.keeping.keep_finished {
            builder = builder.keep_finished(most.most());
        }
        if let Some(time) = place.keeping.keep_for {
            builder = builder.keep_for(time.most());
        }
        // A thread of its own opens the state; meanwhile this one has nothing to do.
        let (utility, routes) = tokio::join!(builder.open(), async { Routes::default() });
        let utility = utility?;
        let server = Server::start_ready(routes, utility.clone(), &place.dir, &place.service);
        let server = server.map_err(|error| {
            Error::Failed(format!("cannot serve {}: {error}", place.dir.display()))
        })?;
        Ok(Self { utility, server })
    }

    /// Owns the state and goes on with all that is unfinished in it; `None`
    /// where somebody else owns it.
    pub(crate) async fn try_start(
        dir: &Path,
        moving: Moving,
        keeping: Keeping,
        service: Service,
    ) -> Result<Option<Self>, Error> {
        let mut config = Config::default();
        config.bandwidth = moving.bandwidth.unwrap_or_default();
        config.request_rate = moving.request_rate;
        let place = Place {
            dir: dir.to_owned(),
            config,
            service,
            caps: None,
            keeping,
        };
        crate::process::prepare();
        match Self::start(&place).await {
            Err(Error::Towline(towline::Error::Store(StoreError::Owned { .. }))) => Ok(None),
            done => done.map(Some),
        }
    }

    /// How long it stays; a client may have asked for more.
    pub(crate) fn mode(&self) -> Mode {
        self.server.mode()
    }

    /// Returns once a client has asked it to leave.
    pub(crate) async fn told_to_leave(&self) {
        self.server.told_to_leave().await;
    }

    pub(crate) async fn leave(self) -> Result<(), Error> {
        self.server.stop().await;
        Ok(self.utility.close().await?)
    }
}

/// With so many requests at one time.
pub(crate) fn config(concurrency: Option<u16>) -> Config {
    let mut config = Config::default();
    if let Some(requests) = concurrency {
        config.requests = Some(requests.into());
    }
    config
}

/// A moment, not the same for all who wait.
pub(crate) fn soon() -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(10 + random % 40)
}
