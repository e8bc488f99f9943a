//! `download` of a prefix: page by page, so that memory does not grow with the
//! number of objects.

use std::path::Path;

use serde_json::json;
use towline::{
    Config, Direction, HandedOver, LeftOut, PrefixPages, SqliteReader, State, TransferRequest,
    TransferUtility,
};
use towline_daemon::{Submit, Submitted};

use crate::args::{Common, Download, OnExists};
use crate::attach::{Attachment, Stay, Stayed};
use crate::error::Error;
use crate::exit::Exit;
use crate::halving::{Refused, detach, submit};
use crate::identity;
use crate::output::Output;
use crate::reach::{Reach, Wishes};
use crate::url::S3Url;
use crate::verbs::{key_in_file, state_dir};

/// So many transfers are under way together, or a page more.
const TOGETHER: usize = 5000;

pub(crate) async fn run(
    args: &Download,
    from: &S3Url,
    to: &Path,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    if args.version_id.is_some() {
        let words = "--version-id is of one object, and a prefix has many".into();
        return Err(Error::Usage(words));
    }
    let (connection, credentials) = identity::connection(common)?;
    let (apart, dir) = state_dir(&args.running, common)?;
    // Lists beside whoever owns the state.
    let listing = tempfile::tempdir()
        .map_err(|error| Error::Failed(format!("cannot make a temporary directory: {error}")))?;
    let lister = TransferUtility::builder()
        .state_dir(listing.path().join("state"))
        .connection(common.connection())
        .config(Config::default())
        .open()
        .await?;
    let mut request = lister
        .download_prefix(from.bucket.as_str(), from.rest.as_str(), to)
        .when_target_exists(args.on_exists.unwrap_or(OnExists::Overwrite).into())
        .priority(args.running.priority())
        .restart(args.restart);
    if let Some(size) = args.part_size {
        request = request.part_size(size);
    }
    if let Some(key) = key_in_file(args.sse_c_key_file.as_deref())? {
        request = request.access(towline::Access {
            customer_key: Some(key),
            ..towline::Access::default()
        });
    }
    let download = PrefixRun {
        pages: request.pages().await?,
        earlier: None,
        connection,
        credentials,
        args,
        from,
        dir: dir.clone(),
        found: 0,
        left_out: 0,
        spared: 0,
    };
    let exit = download.run(output).await;
    lister.close().await?;
    drop(apart);
    exit
}

struct PrefixRun<'a> {
    pages: PrefixPages,
    /// The state in which an earlier command began the same.
    earlier: Option<SqliteReader>,
    connection: towline::Connection,
    credentials: Option<HandedOver>,
    args: &'a Download,
    from: &'a S3Url,
    dir: std::path::PathBuf,
    found: u64,
    left_out: u64,
    spared: u64,
}

impl PrefixRun<'_> {
    async fn run(mut self, output: &mut Output) -> Result<Exit, Error> {
        self.look_for_earlier().await?;
        if self.args.running.detach {
            while let Some(requests) = self.collect(output).await? {
                let refused = detach(&self.dir, self.submit_of(requests), output).await?;
                self.refuse(refused, output);
            }
            return self.end(Exit::Done, output);
        }
        let wishes = Wishes::of_group(self.pages.group(), Direction::Download, &self.args.running);
        let mut reach = Reach::open(self.dir.clone(), wishes).await?;
        let mut stay = Stay::new(output)?;
        let mut exit = Exit::Done;
        loop {
            let step = tokio::select! {
                requests = self.collect(output) => requests?,
                exit = stay.signals.next() => return stay.leave(reach, exit, output).await,
            };
            let Some(requests) = step else { break };
            let Some(submitted) = self.submit(&mut reach, requests, output).await? else {
                continue;
            };
            let attached = Attachment {
                transfers: submitted.transfers,
                cursor: submitted.cursor,
                credentials: self.credentials.clone(),
                waiting: &self.args.waiting,
                goal: State::Completed,
            };
            match attached.stay(&mut reach, &mut stay, output).await? {
                Stayed::Ended(Exit::Done) => {}
                Stayed::Ended(other) => exit = other,
                Stayed::GaveUp(exit) => {
                    reach.leave().await?;
                    return Ok(exit);
                }
                Stayed::Interrupted(exit) => return stay.leave(reach, exit, output).await,
            }
        }
        let exit = self.end(exit, output);
        reach.lift_caps().await;
        stay.end(reach, exit?, output).await
    }

    async fn look_for_earlier(&mut self) -> Result<(), Error> {
        if !self.dir.join("towline.db").exists() {
            return Ok(());
        }
        let reader = SqliteReader::open(&self.dir)?;
        let unfinished = self.pages.is_unfinished(|query| reader.find(query)).await?;
        self.earlier = unfinished.then_some(reader);
        Ok(())
    }

    /// The requests of some pages; `None` behind the last.
    async fn collect(
        &mut self,
        output: &mut Output,
    ) -> Result<Option<Vec<TransferRequest>>, Error> {
        let mut requests = Vec::new();
        while requests.len() < TOGETHER {
            let Some(mut page) = self.pages.next().await? else {
                return Ok(Some(requests).filter(|requests| !requests.is_empty()));
            };
            self.found += (page.requests.len() + page.left_out.len()) as u64;
            if let Some(earlier) = &self.earlier {
                self.spared += page
                    .spare_what_is_there(|query| earlier.find(query))
                    .await?;
            }
            for left_out in page.left_out {
                self.leave_out(&left_out, output);
            }
            requests.extend(page.requests);
        }
        Ok(Some(requests))
    }

    fn leave_out(&mut self, left_out: &LeftOut, output: &mut Output) {
        self.left_out += 1;
        let (bucket, key) = (&self.from.bucket, &left_out.key);
        if output.is_json() {
            output.json_line(&json!({
                "left_out": true, "bucket": bucket.as_str(), "key": key,
                "error": { "code": left_out.code, "message": left_out.why },
            }));
        }
        output.error(&format!("left out s3://{bucket}/{key}: {}", left_out.why));
    }

    fn submit_of(&self, requests: Vec<TransferRequest>) -> Submit {
        let with_connection = |mut request: TransferRequest| {
            request.connection = Some(self.connection.clone());
            request
        };
        Submit {
            requests: requests.into_iter().map(with_connection).collect(),
            credentials: self.credentials.clone(),
        }
    }

    /// Submits requests; what is refused is left out.
    async fn submit(
        &mut self,
        reach: &mut Reach,
        requests: Vec<TransferRequest>,
        output: &mut Output,
    ) -> Result<Option<Submitted>, Error> {
        let (submitted, refused) = submit(reach, self.submit_of(requests)).await?;
        self.refuse(refused, output);
        Ok(submitted)
    }

    fn refuse(&mut self, refused: Vec<Refused>, output: &mut Output) {
        for refused in refused {
            let left_out = LeftOut::refused(refused.request.key, &refused.code, refused.why);
            self.leave_out(&left_out, output);
        }
    }

    fn end(&self, exit: Exit, output: &mut Output) -> Result<Exit, Error> {
        if self.spared > 0 {
            output.remark(&format!("{} files were there already", self.spared));
        }
        if self.found == 0 && !self.pages.saw_any() {
            return Err(Error::Failed(format!(
                "there is no object below s3://{}/{}",
                self.from.bucket, self.from.rest
            )));
        }
        if self.left_out > 0 {
            output.error(&format!("{} objects were left out", self.left_out));
            return Ok(Exit::Failed);
        }
        Ok(exit)
    }
}
