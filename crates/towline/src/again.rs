//! The same request again: what it means for a transfer that is there already.

use towline_core::{
    Direction, Page, Phase, Query, Record, Spec, Store, StoreError, TransferId, TransferOptions,
};

use crate::SubmitError;

/// What to do about a request that is there already.
#[derive(Debug)]
pub(crate) enum Again {
    /// It is this one, which goes on by itself.
    Attach(TransferId),
    /// It is this one, which was paused.
    Resume(TransferId),
    /// It is this one, which failed with its parts kept.
    Retry(TransferId),
}

impl Again {
    pub(crate) fn id(&self) -> TransferId {
        match self {
            Self::Attach(id) | Self::Resume(id) | Self::Retry(id) => *id,
        }
    }
}

/// What a look found: nothing, a transfer, or why the request cannot be.
pub(crate) type Looked = Result<Option<Again>, SubmitError>;

/// Looks whether the store has this request already.
pub(crate) async fn look(store: &dyn Store, spec: &Spec) -> Result<Looked, StoreError> {
    let page = store.find(of(spec)).await?;
    judge_all(store, spec, page).await
}

/// The same of many requests, in their order.
pub(crate) async fn look_at_each(
    store: &dyn Store,
    specs: &[&Spec],
) -> Result<Vec<Looked>, StoreError> {
    let queries = specs.iter().map(|spec| of(spec)).collect();
    let pages = store.find_each(queries).await?;
    let mut looked = Vec::with_capacity(specs.len());
    for (spec, page) in specs.iter().zip(pages) {
        looked.push(judge_all(store, spec, page).await?);
    }
    Ok(looked)
}

/// Whoever writes the same object or file, in whatever way.
fn of(spec: &Spec) -> Query {
    let query = match spec.direction {
        Direction::Upload | Direction::Copy => Query {
            bucket: Some(spec.object.bucket.as_str().to_owned()),
            key: Some(spec.object.key.as_str().to_owned()),
            ..Query::default()
        },
        Direction::Download => Query {
            direction: Some(Direction::Download),
            path: Some(spec.path.clone()),
            ..Query::default()
        },
    };
    Query {
        newest_first: true,
        ..query
    }
}

/// Judges by all that write the same, of which this is the first page.
async fn judge_all(store: &dyn Store, spec: &Spec, mut page: Page) -> Result<Looked, StoreError> {
    let mut verdict = Ok(None);
    let mut newest_same = true;
    loop {
        for record in page.transfers {
            if same_request(&record.spec, spec) {
                if newest_same {
                    verdict = judge(&record, spec);
                }
                newest_same = false;
            } else if !record.phase.is_final()
                && same_target(&record.spec, spec)
                && !same_token(&record.spec, spec)
            {
                return Ok(Err(taken(&record)));
            }
        }
        let Some(after) = page.next else {
            return Ok(verdict);
        };
        let more = Query {
            after: Some(after),
            ..of(spec)
        };
        page = store.find(more).await?;
    }
}

fn judge(record: &Record, spec: &Spec) -> Looked {
    let again = match record.phase {
        Phase::Completed | Phase::Canceled => return Ok(None),
        Phase::Failed if record.remote.is_none() => return Ok(None),
        Phase::Failed => Again::Retry(record.id),
        Phase::Paused => Again::Resume(record.id),
        _ => Again::Attach(record.id),
    };
    let options = differing(&record.spec.options, &spec.options);
    if options.is_empty() {
        Ok(Some(again))
    } else {
        Err(SubmitError::OptionsDiffer {
            id: record.id,
            options,
        })
    }
}

/// The store tells that they are one.
fn same_token(one: &Spec, other: &Spec) -> bool {
    one.token.is_some() && one.token == other.token
}

/// Same direction, endpoint, object, version and path. Two streams are never
/// the same.
fn same_request(one: &Spec, other: &Spec) -> bool {
    !one.is_stream()
        && one.direction == other.direction
        && same_target(one, other)
        && one.object == other.object
        && one.same_path(other)
}

/// What is written is the same: the object, or the file.
fn same_target(one: &Spec, other: &Spec) -> bool {
    if one.direction.makes_object() != other.direction.makes_object() {
        return false;
    }
    match one.direction {
        // A copy's version is that of its source.
        Direction::Upload | Direction::Copy => {
            one.connection.endpoint == other.connection.endpoint
                && one.object.bucket == other.object.bucket
                && one.object.key == other.object.key
        }
        Direction::Download => !one.is_stream() && one.path == other.path,
    }
}

fn taken(record: &Record) -> SubmitError {
    let (source_of_it, target) = ends(&record.spec);
    SubmitError::TargetTaken {
        id: record.id,
        target,
        source_of_it,
    }
}

/// From where, and to where.
fn ends(spec: &Spec) -> (String, String) {
    let (path, object) = (spec.path.display().to_string(), spec.object.to_string());
    match spec.direction {
        Direction::Upload | Direction::Copy => (path, object),
        Direction::Download => (object, path),
    }
}

impl SubmitError {
    /// Two requests of one call write the same.
    pub(crate) fn clash(one: &Spec, other: &Spec) -> Self {
        let (first, target) = ends(one);
        let (second, _) = ends(other);
        Self::Clash {
            target,
            first,
            second,
        }
    }
}

fn differing(one: &TransferOptions, other: &TransferOptions) -> Vec<&'static str> {
    let (a, b) = (&one.object, &other.object);
    let pairs = [
        ("part size", one.part_size == other.part_size),
        ("mode", one.upload_mode == other.upload_mode),
        ("network", one.network == other.network),
        ("directory", one.root_depth == other.root_depth),
        ("range", one.range == other.range),
        ("condition", one.condition == other.condition),
        (
            "requester pays",
            one.access.requester_pays == other.access.requester_pays,
        ),
        (
            "expected bucket owner",
            one.access.expected_bucket_owner == other.access.expected_bucket_owner,
        ),
        (
            "customer key",
            one.access.customer_key == other.access.customer_key,
        ),
        ("headers", one.extra.headers == other.extra.headers),
        ("parameters", one.extra.parameters == other.extra.parameters),
        ("checksum", one.checksum == other.checksum),
        (
            "on-change",
            one.when_source_changes == other.when_source_changes,
        ),
        ("if-absent", one.if_absent == other.if_absent),
        (
            "on-exists",
            one.when_target_exists == other.when_target_exists,
        ),
        ("content type", a.content_type == b.content_type),
        ("content encoding", a.content_encoding == b.content_encoding),
        (
            "content disposition",
            a.content_disposition == b.content_disposition,
        ),
        ("content language", a.content_language == b.content_language),
        ("cache control", a.cache_control == b.cache_control),
        ("expires", a.expires == b.expires),
        ("grants", a.grants == b.grants),
        ("website redirect", a.website_redirect == b.website_redirect),
        ("encryption", a.encryption == b.encryption),
        ("metadata", a.metadata == b.metadata),
        ("tags", a.tags == b.tags),
        ("ACL", a.acl == b.acl),
        ("storage class", a.storage_class == b.storage_class),
    ];
    pairs
        .iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| *name)
        .collect()
}
