//! `rm`: removes an object, or all below a prefix, page by page.
//!
//! Who is asked is told first how many there are. They are then listed anew as
//! they are removed, and what is not what was counted stays.

mod counted;

use std::io::IsTerminal;

use indicatif::{BinaryBytes, ProgressBar};
use serde_json::{Value, json};
use towline::{ListedObject, NotDeleted, ObjectVersion, TransferUtility};

use self::counted::{Counted, Counting};
use crate::apart;
use crate::args::{Common, Rm};
use crate::attach::Signals;
use crate::error::Error;
use crate::exit::Exit;
use crate::listing::{Listing, counter, name, nothing_below, objects};
use crate::output::{Output, one_line};
use crate::url::S3Url;

/// So often a request is sent again. What is under way is worth more patience
/// than a question.
const RETRIES: u32 = 8;

pub(crate) async fn run(args: Rm, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    check(&args)?;
    let mut signals = Signals::new()?;
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let mut removal = Removal {
        utility: &utility,
        url: &args.url,
        removed: 0,
        failed: 0,
        bytes: 0,
        newer: 0,
    };
    let ended = tokio::select! {
        ended = removal.run(&args, output) => ended,
        exit = signals.next() => {
            removal.tell_of_interruption(&args, output);
            Ok(exit)
        }
    };
    let closed = utility.close().await;
    let exit = ended?;
    closed?;
    Ok(exit)
}

/// What is meant has to be said: nothing here can be taken back.
fn check(args: &Rm) -> Result<(), Error> {
    let url = name(&args.url);
    let refuse = |words: String| Err(Error::Usage(one_line(&words)));
    if !args.recursive {
        if args.url.rest.is_empty() {
            return refuse(format!(
                "{url} is a bucket; name an object, or with --recursive a prefix"
            ));
        }
        args.url.key().map_err(Error::address)?;
        return Ok(());
    }
    match (args.url.rest.is_empty(), args.all_of_bucket) {
        (true, false) => {
            return refuse(format!(
                "{url} is the whole bucket; name a prefix, or mean it with --all-of-bucket"
            ));
        }
        (false, true) => {
            return refuse(format!(
                "--all-of-bucket is for s3://BUCKET, and {url} has a prefix"
            ));
        }
        _ => {}
    }
    if !args.url.is_prefix() {
        return refuse(format!(
            "a prefix ends in '/', since other names may begin with {url} too"
        ));
    }
    if !args.yes && !args.dry_run && !can_be_asked() {
        return refuse("there is no terminal to ask on; --yes removes without asking".into());
    }
    Ok(())
}

fn can_be_asked() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The work, and how far it is.
struct Removal<'a> {
    utility: &'a TransferUtility,
    url: &'a S3Url,
    removed: u64,
    failed: u64,
    /// Of those that were removed.
    bytes: u64,
    /// Objects that stay, because nobody was told of them.
    newer: u64,
}

impl Removal<'_> {
    async fn run(&mut self, args: &Rm, output: &mut Output) -> Result<Exit, Error> {
        if !args.recursive {
            return self.remove_one(args, output).await;
        }
        if args.dry_run {
            return self.show(output).await;
        }
        let counted = if args.yes {
            None
        } else {
            let counting = self.count(output).await?;
            if counting.objects == 0 {
                self.report(args, output);
                return Ok(Exit::Done);
            }
            if !self.ask(&counting, output).await? {
                output.error("nothing was removed");
                return Ok(Exit::Failed);
            }
            Some(counting.done()?)
        };
        let counter = counter("removed", output);
        let ended = self.remove_all(counted, &counter, output).await;
        counter.finish_and_clear();
        self.report(args, output);
        ended?;
        Ok(match self.failed {
            0 => Exit::Done,
            _ => Exit::Failed,
        })
    }

    async fn remove_one(&mut self, args: &Rm, output: &mut Output) -> Result<Exit, Error> {
        let object = ObjectVersion {
            key: self.url.rest.clone(),
            version_id: args.version_id.clone(),
        };
        if args.dry_run {
            self.would_remove(&object, None, output);
            return Ok(Exit::Done);
        }
        let mut request = self
            .utility
            .delete_object(self.url.bucket.as_str(), object.key.as_str());
        if let Some(version) = &args.version_id {
            request = request.version_id(version);
        }
        match request.await {
            Ok(()) => self.removed = 1,
            Err(towline::Error::Request(error)) => {
                let (code, message) = (error.code().to_owned(), error.message().to_owned());
                self.fail(
                    &NotDeleted {
                        object,
                        code,
                        message,
                    },
                    output,
                );
            }
            Err(error) => return Err(error.into()),
        }
        self.report(args, output);
        Ok(match self.failed {
            0 => Exit::Done,
            _ => Exit::Failed,
        })
    }

    /// What would be removed.
    async fn show(&mut self, output: &mut Output) -> Result<Exit, Error> {
        let mut listing = Listing::of_all(self.utility, self.url);
        let (mut found, mut bytes) = (0, 0u64);
        while let Some(page) = listing.next().await? {
            for object in page.objects {
                found += 1;
                bytes = bytes.saturating_add(object.size);
                let size = Some(object.size);
                self.would_remove(&object.key.into(), size, output);
            }
            if output.is_unheard() {
                return Ok(Exit::Done);
            }
        }
        output.line(&one_line(&format!(
            "{} ({}) below {} would be removed",
            objects(found),
            BinaryBytes(bytes),
            name(self.url)
        )));
        Ok(Exit::Done)
    }

    async fn count(&self, output: &Output) -> Result<Counting, Error> {
        let mut listing = Listing::of_all(self.utility, self.url);
        let mut counting = Counting::begin()?;
        let counter = counter("counting", output);
        while let Some(page) = listing.next().await? {
            for object in &page.objects {
                counting.add(object)?;
            }
            counter.set_position(counting.objects);
        }
        counter.finish_and_clear();
        Ok(counting)
    }

    async fn ask(&self, counted: &Counting, output: &mut Output) -> Result<bool, Error> {
        output.question(&one_line(&format!(
            "remove {} ({}) below {}? [y/N]",
            objects(counted.objects),
            BinaryBytes(counted.bytes),
            name(self.url)
        )));
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let failed = |error: String| Error::Failed(format!("cannot read the answer: {error}"));
        let line = read.await.map_err(|error| failed(error.to_string()))?;
        let line = line.map_err(|error| failed(error.to_string()))?;
        Ok(matches!(
            line.trim().to_ascii_lowercase().as_str(),
            "y" | "yes"
        ))
    }

    /// Page by page; of a page that is removed the next one does not change.
    async fn remove_all(
        &mut self,
        mut counted: Option<Counted>,
        counter: &ProgressBar,
        output: &mut Output,
    ) -> Result<(), Error> {
        let mut listing = Listing::of_all(self.utility, self.url);
        while let Some(page) = listing.next().await? {
            let mut these = Vec::with_capacity(page.objects.len());
            for object in page.objects {
                match counted
                    .as_mut()
                    .map(|counted| counted.has(&object))
                    .transpose()?
                {
                    Some(false) => self.newer += 1,
                    _ => these.push(object),
                }
            }
            // A store may have pages of its own size.
            for some in these.chunks(1000) {
                self.remove(some, counter, output).await?;
            }
        }
        Ok(())
    }

    async fn remove(
        &mut self,
        these: &[ListedObject],
        counter: &ProgressBar,
        output: &mut Output,
    ) -> Result<(), Error> {
        let keys = these.iter().map(|object| object.key.as_str());
        let done = self
            .utility
            .delete_objects(self.url.bucket.as_str(), keys)
            .await?;
        let failed = done.failed.iter().map(|it| it.object.key.as_str());
        let failed: std::collections::HashSet<&str> = failed.collect();
        let gone = these
            .iter()
            .filter(|object| !failed.contains(object.key.as_str()));
        self.bytes += gone.map(|object| object.size).sum::<u64>();
        self.removed += done.deleted as u64;
        counter.set_position(self.removed);
        for failed in &done.failed {
            counter.suspend(|| self.fail(failed, output));
        }
        Ok(())
    }

    fn would_remove(&self, object: &ObjectVersion, size: Option<u64>, output: &mut Output) {
        if output.is_json() {
            let mut line = self.line(object);
            line["would_remove"] = true.into();
            line["size"] = json!(size);
            output.json_line(&line);
        } else {
            output.line(&format!("would remove {}", self.words(object)));
        }
    }

    fn fail(&mut self, failed: &NotDeleted, output: &mut Output) {
        self.failed += 1;
        if output.is_json() {
            let mut line = self.line(&failed.object);
            line["error"] = json!({ "code": failed.code, "message": failed.message });
            output.json_line(&line);
        }
        let (code, message) = (&failed.code, &failed.message);
        let object = self.words(&failed.object);
        output.error(&one_line(&match message.contains(code.as_str()) {
            true => format!("cannot remove {object}: {message}"),
            false => format!("cannot remove {object}: {code}: {message}"),
        }));
    }

    /// What was removed, also where it was not all.
    fn report(&self, args: &Rm, output: &mut Output) {
        let bytes = BinaryBytes(self.bytes);
        if output.is_json() {
            output.json_line(&json!({
                "bucket": self.url.bucket.as_str(),
                (if args.recursive { "prefix" } else { "key" }): self.url.rest,
                "removed": self.removed, "failed": self.failed, "newer": self.newer,
            }));
        } else if !args.recursive {
            if self.removed > 0 {
                output.line(&one_line(&format!("removed {}", name(self.url))));
                if self.url.is_prefix() {
                    output.remark("the object of this very name; what is below it stays");
                }
            }
        } else if self.removed + self.failed + self.newer == 0 {
            output.line(&one_line(&nothing_below(self.url)));
        } else {
            output.line(&one_line(&format!(
                "removed {} ({bytes}) below {}",
                objects(self.removed),
                name(self.url)
            )));
        }
        if self.newer > 0 {
            let newer = objects(self.newer);
            output.remark(&format!("left alone, stored since the count: {newer}"));
        }
        if args.recursive && self.failed > 0 {
            output.error(&format!("{} could not be removed", objects(self.failed)));
        }
    }

    fn tell_of_interruption(&self, args: &Rm, output: &mut Output) {
        if self.removed + self.failed > 0 {
            self.report(args, output);
            output.remark("interrupted; what was just asked for may be gone too");
        }
    }

    fn line(&self, object: &ObjectVersion) -> Value {
        let mut line = json!({ "bucket": self.url.bucket.as_str(), "key": object.key });
        if let Some(version) = &object.version_id {
            line["version_id"] = version.as_str().into();
        }
        line
    }

    fn words(&self, object: &ObjectVersion) -> String {
        let version = object.version_id.as_ref();
        let version = version.map(|version| format!(" version {version}"));
        let bucket = &self.url.bucket;
        one_line(&format!(
            "s3://{bucket}/{}{}",
            object.key,
            version.unwrap_or_default()
        ))
    }
}
