//! Promise 6: power loss costs what was in flight, and what was not synced.

use std::collections::BTreeMap;

use towline::Direction;
use towline_testkit::crash::{Place, Violation};
use towline_testkit::disk::Fate;
use towline_testkit::disk::power::Honest;
use towline_testserver::{Operation, Request};

use crate::evidence::{Finished, there};
use crate::judge::{Failure, broken};
use crate::machine::Machine;
use crate::story::Story;
use crate::wanted::Wanted;
use crate::{BUCKET, MIB};

/// The parts of these tests.
const PART: u64 = 5 * MIB;

pub(crate) fn violations(
    failure: &Failure<'_>,
    machine: &Machine,
    finished: &Finished,
) -> Vec<Violation> {
    let moved = moved_by_key(&finished.requests);
    // Objects and uploads as they were when the power failed.
    let now = machine.server.snapshot().unwrap();
    machine.server.restore(&failure.mark.s3);
    let survived: BTreeMap<&str, u64> = failure
        .story
        .wanted
        .iter()
        .map(|it| (it.key.as_str(), survived(failure, machine, it)))
        .collect();
    machine.server.restore(&now);
    let mut broken = Vec::new();
    for it in &failure.story.wanted {
        let (size, moved) = (
            it.content.size,
            moved.get(&it.key).copied().unwrap_or_default(),
        );
        let survived = survived[it.key.as_str()];
        if moved > size - survived {
            let what = format!(
                "{survived} of {size} bytes survived for certain, and {moved} were moved after it"
            );
            broken.push(self::broken(6, &it.key, what));
        }
    }
    broken
}

fn moved_by_key(requests: &[Request]) -> BTreeMap<String, u64> {
    let mut moved: BTreeMap<String, u64> = BTreeMap::new();
    for request in requests {
        let bytes = match request.operation {
            Operation::PutObject | Operation::UploadPart => request.content_received(),
            Operation::GetObject => request.bytes_sent,
            _ => continue,
        };
        let key = request.key.clone().unwrap_or_default();
        *moved.entry(key).or_default() += bytes;
    }
    moved
}

/// How much of it is there for certain.
fn survived(failure: &Failure<'_>, machine: &Machine, it: &Wanted) -> u64 {
    let size = it.content.size;
    match it.direction {
        Direction::Copy => unreachable!("nothing is copied here"),
        Direction::Upload => {
            if there(machine, &Place::Object(it.key.clone())).as_ref() == Some(&it.content) {
                return size;
            }
            let uploads = machine.server.open_uploads(BUCKET).into_iter();
            let parts = uploads.filter(|upload| upload.key == it.key).map(|upload| {
                let bytes = |part: &u32| PART.min(size - u64::from(part - 1) * PART);
                upload.parts.iter().map(bytes).sum::<u64>()
            });
            parts.max().unwrap_or_default()
        }
        Direction::Download => {
            // Before all of it is synced, and only then sealed, rows that tell of
            // synced bytes may be lost.
            let all_synced = failure.image.certain.iter().any(|(name, certain)| {
                name.to_string_lossy().starts_with(".towline-") && *certain == size && size > PART
            });
            let by_default = failure.story.settings.sync_every > size;
            if all_synced && by_default { size } else { 0 }
        }
    }
}

/// The places of a recording at which more bytes of downloads could be lost than
/// those since the last sync, and those of the parts in flight.
pub(crate) fn too_much_unsynced(story: &Story, honest: Honest<'_>) -> Vec<Violation> {
    let in_flight = story.settings.parts_per_transfer as u64 * PART;
    let most = story.settings.sync_every + in_flight;
    let mut rng = fastrand::Rng::with_seed(0);
    let mut broken = Vec::new();
    for place in (0..=story.recorded.ops.len()).step_by(16) {
        let image = story.recorded.image(place, Fate::Lost, &mut rng, honest);
        for (name, uncertain) in image.uncertain {
            let name = name.to_string_lossy();
            if name.starts_with(".towline-") && uncertain > most {
                let what = format!("after {place} changes {uncertain} bytes could be lost");
                broken.push(self::broken(6, name.into_owned(), what));
            }
        }
    }
    broken
}
