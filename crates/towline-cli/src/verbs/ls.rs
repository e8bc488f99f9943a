//! `ls`: the objects below a prefix, one level or all of them.

use serde_json::{Value, json};
use towline::{ListedObject, ObjectsPage};

use crate::apart;
use crate::args::{Common, Ls};
use crate::error::Error;
use crate::exit::Exit;
use crate::listing::{Listing, size};
use crate::output::{Output, one_line};
use crate::when::date;

const RETRIES: u32 = 3;

pub(crate) async fn run(args: Ls, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let mut listing = match args.recursive {
        true => Listing::of_all(&utility, &args.url),
        false => Listing::of_one_level(&utility, &args.url),
    };
    let told = tell(&mut listing, &args, output).await;
    utility.close().await?;
    told?;
    Ok(Exit::Done)
}

async fn tell(listing: &mut Listing<'_>, args: &Ls, output: &mut Output) -> Result<(), Error> {
    while let Some(page) = listing.next().await? {
        for entry in in_order(page) {
            if output.is_json() {
                output.json_line(&entry.json());
            } else {
                output.line(&entry.row(args.bytes));
            }
        }
        if output.is_unheard() {
            return Ok(());
        }
    }
    listing.expect_any()
}

enum Entry {
    Object(ListedObject),
    Prefix(String),
}

/// Both kinds of a page in the order of their keys, as S3 has them.
fn in_order(page: ObjectsPage) -> impl Iterator<Item = Entry> {
    let mut objects = page.objects.into_iter().peekable();
    let mut prefixes = page.prefixes.into_iter().peekable();
    std::iter::from_fn(move || {
        let prefix_is_first = match (objects.peek(), prefixes.peek()) {
            (Some(object), Some(prefix)) => *prefix <= object.key,
            (object, _) => object.is_none(),
        };
        match prefix_is_first {
            true => prefixes.next().map(Entry::Prefix),
            false => objects.next().map(Entry::Object),
        }
    })
}

impl Entry {
    /// A row as wide as it has to be.
    fn row(&self, exact: bool) -> String {
        let (time, size, key) = match self {
            Self::Object(object) => (
                object.last_modified.map(date).unwrap_or_default(),
                size(object.size, exact),
                &object.key,
            ),
            Self::Prefix(prefix) => (String::new(), "prefix".to_owned(), prefix),
        };
        one_line(&format!("{time:<23}  {size:>11}  {key}"))
    }

    fn json(&self) -> Value {
        match self {
            Self::Object(object) => json!({
                "key": object.key, "size": object.size, "modified": object.last_modified,
                "etag": object.etag, "storage_class": object.storage_class,
            }),
            Self::Prefix(prefix) => json!({ "prefix": prefix }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str) -> ListedObject {
        ListedObject {
            key: key.to_owned(),
            size: 5 << 20,
            etag: None,
            last_modified: None,
            storage_class: None,
        }
    }

    #[test]
    fn objects_and_prefixes_come_in_the_order_of_their_keys() {
        let page = ObjectsPage {
            objects: ["a", "a/", "c"].map(object).into(),
            prefixes: ["a/", "b/", "d/"].map(str::to_owned).into(),
            next: None,
        };
        let rows: Vec<_> = in_order(page).map(|entry| entry.row(false)).collect();
        let names: Vec<_> = rows
            .iter()
            .map(|row| row.split_whitespace().last().unwrap())
            .collect();
        assert_eq!(names, ["a", "a/", "a/", "b/", "c", "d/"]);
        assert!(rows[0].contains("5.00 MiB"), "{}", rows[0]);
        assert!(rows[1].contains("prefix"), "{}", rows[1]);
    }
}
