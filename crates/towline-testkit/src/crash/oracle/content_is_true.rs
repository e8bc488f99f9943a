//! Promises 2 and 3: what is called done is equal to its source, and nothing
//! anywhere is half of one content and half of another.

use super::Violation;
use crate::crash::content::Content;
use crate::crash::evidence::{Evidence, Place};

/// Promise 2: `completed` only with equal bytes, and with the proof named.
pub(super) fn done_is_true(evidence: &Evidence) -> Vec<Violation> {
    let mut broken = Vec::new();
    let told = evidence.told.iter().map(|(_, row)| row);
    let surveyed = evidence.surveys.iter().flat_map(|survey| &survey.rows);
    let everywhere: Vec<_> = evidence.rows.iter().chain(surveyed).chain(told).collect();
    for asked in &evidence.asked {
        let mut completed = everywhere
            .iter()
            .filter(|row| row.is_of(asked) && row.state == "completed")
            .peekable();
        if completed.peek().is_none() {
            continue;
        }
        for row in completed.filter(|row| row.verified.is_none()) {
            let what = format!("transfer {} is completed and verified by nothing", row.id);
            broken.push(asked.broken(2, what));
        }
        let place = asked.destination();
        let left = evidence.left.get(&place);
        if !left.is_some_and(|left| arriving_at(evidence, &place).any(|c| c == left)) {
            let left = left.map_or("nothing".into(), Content::to_string);
            let what = format!(
                "it is completed, and its destination holds {left}, no version of its source ({})",
                list(&asked.versions)
            );
            broken.push(asked.broken(2, what));
        }
    }
    broken
}

/// Promise 3: at no time is there anything but a version of the source, or
/// what stood there before; what failed harms nothing.
pub(super) fn nothing_is_torn(evidence: &Evidence) -> Vec<Violation> {
    let mut broken = Vec::new();
    for asked in &evidence.asked {
        let place = asked.destination();
        let left = evidence.left.get(&place);
        let seen = evidence.seen.iter().filter(|seen| seen.place == place);
        for content in seen.map(|seen| &seen.content).chain(left) {
            let whole = arriving_at(evidence, &place).any(|version| version == content);
            if !whole && asked.before.as_ref() != Some(content) {
                let what = format!(
                    "its destination held {content}, which is neither a version of its source \
                     ({}) nor what stood there before",
                    list(&asked.versions)
                );
                broken.push(asked.broken(3, what));
            }
        }
        let unchanged = evidence.rows_of(asked).all(|row| {
            !row.is_live() && row.state != "completed" // failed or canceled, all of them
        });
        let harmed = match &asked.before {
            Some(before) => left.is_none() || unchanged && left != Some(before),
            None => false,
        };
        if harmed {
            let left = left.map_or("nothing".into(), Content::to_string);
            broken.push(asked.broken(3, format!("what stood there before is now {left}")));
        }
    }
    broken
}

/// The contents that some transfer may bring to a place.
fn arriving_at<'e>(evidence: &'e Evidence, place: &Place) -> impl Iterator<Item = &'e Content> {
    let there = evidence
        .asked
        .iter()
        .filter(move |a| &a.destination() == place);
    there
        .flat_map(|asked| &asked.versions)
        .collect::<Vec<_>>()
        .into_iter()
}

fn list(contents: &[Content]) -> String {
    let texts: Vec<String> = contents.iter().map(Content::to_string).collect();
    texts.join(", ")
}
