//! What a group is to have, step by step: from a listing or a walk.

use std::iter::Peekable;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use towline_core::{Direction, GroupId, ListedObject, LocalFailure, NotListed};

use super::compared::Compared;
use super::origin::Copies;
use super::{ListingRequest, Place};
use crate::prefix::{Listed, PrefixListing};
use crate::sync::{Found, Names, Walk, blocking};
use crate::{Error, SubmitError, TransferRequest, TransferUtility};

/// So many files are looked for at a time.
const FILES: usize = 1000;

/// One step of a listing.
#[derive(Default)]
pub(super) struct Step {
    pub(super) entries: Vec<Entry>,
    /// Files or objects, also those that are no entries.
    pub(super) found: u64,
    /// Those that are the same on both sides.
    pub(super) same: u64,
    /// Where it goes on.
    pub(super) place: Option<Place>,
    pub(super) last: bool,
}

/// What is to become a transfer, or has none.
pub(super) enum Entry {
    Wanted {
        request: Box<TransferRequest>,
        bytes: u64,
        /// Of downloads and copies.
        listed: Option<ListedObject>,
    },
    Without(NotListed),
}

/// Where the steps come from.
pub(super) enum Entries {
    Objects(Box<PrefixListing>),
    Copies(Box<Copies>),
    Files {
        asked: Box<ListingRequest>,
        /// Taken while it goes on elsewhere.
        walk: Option<Peekable<Walk>>,
    },
    Compared(Box<Compared>),
}

impl Entries {
    /// From the start, or behind a place.
    pub(super) fn open(
        group: GroupId,
        asked: &ListingRequest,
        behind: Option<Place>,
    ) -> Result<Self, Error> {
        if let Some(how) = &asked.sync {
            let compared = Compared::open(group, (asked, how), behind)?;
            return Ok(Self::Compared(Box::new(compared)));
        }
        match asked.like.direction {
            Direction::Download => {
                let pages = PrefixListing::of(group, asked.clone(), behind)?;
                return Ok(Self::Objects(Box::new(pages)));
            }
            Direction::Copy => {
                let copies = Copies::of(group, asked.clone(), behind)?;
                return Ok(Self::Copies(Box::new(copies)));
            }
            Direction::Upload => {}
        }
        be_the_same(asked)?;
        let mut walk = Walk::new(&asked.dir, Arc::default(), Names::Themselves);
        if let Some(place) = behind {
            walk = walk.behind(place.after);
        }
        Ok(Self::Files {
            asked: Box::new(asked.clone()),
            walk: Some(walk.peekable()),
        })
    }

    /// The next step. Whoever drops this before it is done opens it anew.
    pub(super) async fn next(&mut self, utility: &TransferUtility) -> Result<Step, Error> {
        match self {
            Self::Objects(pages) => objects(utility, pages).await,
            Self::Copies(copies) => copies.next(utility).await,
            Self::Files { asked, walk } => {
                let mut going = walk.take().ok_or(Error::Closed)?;
                let still = asked.clone();
                let look = move || {
                    let found = some_of(&mut going);
                    let last = going.peek().is_none();
                    // A file system that goes away meanwhile leaves an empty directory.
                    be_the_same(&still)?;
                    Ok::<_, Error>((found, last, going))
                };
                let (found, last, going) = blocking(utility, look).await??;
                *walk = Some(going);
                files(asked, found, last)
            }
            Self::Compared(compared) => compared.next(utility).await,
        }
    }
}

async fn objects(utility: &TransferUtility, pages: &mut PrefixListing) -> Result<Step, Error> {
    let page = pages.next(utility).await?.unwrap_or_default();
    let entry = |listed| match listed {
        Listed::File(request, object) => Entry::Wanted {
            request,
            bytes: object.size,
            listed: Some(object),
        },
        Listed::NoFile { key, code, why } => Entry::Without(NotListed {
            skipped: false,
            key: Some(key),
            path: None,
            code: code.into(),
            why,
        }),
        Listed::Directory(key) => Entry::Without(NotListed {
            skipped: true,
            key: Some(key),
            path: None,
            code: "IsDirectory".into(),
            why: "it stands for a directory".into(),
        }),
    };
    let entries: Vec<Entry> = page.into_iter().map(entry).collect();
    Ok(Step {
        found: entries.len() as u64,
        same: 0,
        entries,
        place: pages.place(),
        last: pages.is_done(),
    })
}

/// About a thousand; the last one has a key, and no other one has it.
fn some_of(walk: &mut Peekable<Walk>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    loop {
        let last = found.last().and_then(Found::key);
        let full = found.len() >= FILES && last.is_some();
        let next = walk.next_if(|next| !full || next.key() == last);
        match next {
            Some(next) => found.push(next),
            None => return found,
        }
    }
}

fn files(asked: &ListingRequest, found: Vec<Found>, last: bool) -> Result<Step, Error> {
    let after = found.iter().rev().find_map(Found::key).map(str::to_owned);
    let mut entries = Vec::with_capacity(found.len());
    for found in found {
        entries.push(match found {
            Found::File(file) => Entry::Wanted {
                request: Box::new(TransferRequest {
                    key: format!("{}{}", asked.prefix, file.key),
                    path: file.path,
                    ..asked.like.clone()
                }),
                bytes: file.identity.size,
                listed: None,
            },
            // The directory itself: there may be anything in it.
            Found::LeftOut(missed) if missed.key.as_deref() == Some("") => {
                return Err(unreadable(asked, missed.why.told().1));
            }
            Found::LeftOut(missed) => {
                let skipped = !missed.why.is_error();
                let (code, why) = missed.why.told();
                Entry::Without(NotListed {
                    skipped,
                    key: missed.key.map(|key| format!("{}{key}", asked.prefix)),
                    path: Some(missed.path),
                    code: code.into(),
                    why,
                })
            }
        });
    }
    Ok(Step {
        found: entries.len() as u64,
        same: 0,
        entries,
        place: after.map(|after| Place {
            after,
            files: Vec::new(),
        }),
        last,
    })
}

/// The directory is the one that it was.
pub(super) fn be_the_same(asked: &ListingRequest) -> Result<(), Error> {
    match std::fs::metadata(&asked.dir) {
        Ok(meta) if asked.inode.is_none_or(|inode| inode == meta.ino()) => Ok(()),
        Ok(_) => Err(unreadable(asked, "another directory is there now".into())),
        Err(error) => Err(unreadable(asked, error.to_string())),
    }
}

pub(super) fn unreadable(asked: &ListingRequest, why: String) -> Error {
    SubmitError::Source(LocalFailure::SourceUnreadable {
        path: asked.dir.display().to_string(),
        why,
        missing: false,
    })
    .into()
}
