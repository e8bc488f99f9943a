//! `du`: how many objects there are below a prefix, and how many bytes they have.

use indicatif::ProgressBar;
use serde_json::json;

use crate::apart;
use crate::args::{Common, Du};
use crate::error::Error;
use crate::exit::Exit;
use crate::listing::{Listing, counter, size};
use crate::output::{Output, one_line};

const RETRIES: u32 = 3;

pub(crate) async fn run(args: Du, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let mut listing = Listing::of_all(&utility, &args.url);
    let counter = counter("counting", output);
    let counted = count(&mut listing, &args, &counter, output).await;
    counter.finish_and_clear();
    utility.close().await?;
    counted?;
    Ok(Exit::Done)
}

async fn count(
    listing: &mut Listing<'_>,
    args: &Du,
    counter: &ProgressBar,
    output: &mut Output,
) -> Result<(), Error> {
    let start = &args.url.rest;
    let mut all = Sum::of(start);
    let mut group: Option<Sum> = None;
    while let Some(page) = listing.next().await? {
        for object in page.objects {
            all.add(object.size);
            if args.depth == 0 {
                continue;
            }
            // Keys of one prefix come together, so one sum at a time is enough.
            let prefix = level_below(&object.key, start);
            if group.as_ref().map(|group| group.prefix.as_str()) != prefix {
                let ended = std::mem::replace(&mut group, prefix.map(Sum::of));
                if let Some(ended) = ended {
                    counter.suspend(|| ended.tell(args, output));
                }
            }
            if let Some(group) = &mut group {
                group.add(object.size);
            }
        }
        counter.set_position(all.objects);
        if output.is_unheard() {
            return Ok(());
        }
    }
    listing.expect_any()?;
    counter.finish_and_clear();
    if let Some(group) = group {
        group.tell(args, output);
    }
    all.tell(args, output);
    Ok(())
}

/// `start` with what a key has up to the next `/`.
fn level_below<'a>(key: &'a str, start: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(start)?;
    let end = start.len() + rest.find('/')? + 1;
    key.get(..end)
}

struct Sum {
    prefix: String,
    objects: u64,
    bytes: u64,
}

impl Sum {
    fn of(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            objects: 0,
            bytes: 0,
        }
    }

    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn tell(&self, args: &Du, output: &mut Output) {
        let (bucket, prefix) = (args.url.bucket.as_str(), &self.prefix);
        if output.is_json() {
            output.json_line(&json!({
                "bucket": bucket, "prefix": prefix, "objects": self.objects, "bytes": self.bytes,
            }));
        } else {
            let bytes = size(self.bytes, args.bytes);
            let row = format!("{:>9}  {bytes:>11}  s3://{bucket}/{prefix}", self.objects);
            output.line(&one_line(&row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_prefix_of_the_level_below() {
        assert_eq!(level_below("p/a/b/c", "p/"), Some("p/a/"));
        assert_eq!(level_below("p/a", "p/"), None);
        assert_eq!(level_below("p/a/b", "p/a"), Some("p/a/"));
        assert_eq!(level_below("é//x", "é/"), Some("é//"));
        assert_eq!(level_below("x", "é"), None);
    }
}
