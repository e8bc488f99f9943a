//! A copy that was canceled while the store was at work with it: nothing takes the
//! request back.

use std::time::Duration;

use towline_core::{After, Phase, Proof, Request};

use super::is_ours;
use crate::act::Context;
use crate::head;
use crate::upload::Judgement;

/// The store copies so many bytes in a second, or more.
const BYTES_A_SECOND: u64 = 64 << 20;
/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
/// Nobody waits longer for a cancel.
const AT_MOST: Duration = Duration::from_secs(30);

/// The proof of a copy that was canceled too late, looked for as long as the store may
/// be at work with it. That nobody can tell does not keep it from being canceled.
pub(crate) async fn landed_late(context: &Context) -> Option<Proof> {
    let asked = context.record.asked.map(|asked| asked.request);
    let is_canceled = context.record.phase == Phase::Discarding(After::Cancel);
    let origin = context.record.origin.as_ref()?;
    if !is_canceled || asked != Some(Request::Put) {
        return None;
    }
    let looks = async {
        loop {
            if let Ok(Some(there)) = head::now(context, None).await
                && let Judgement::Ours(proof) = is_ours(context, origin, &there)
            {
                return proof;
            }
            context.clock.sleep(EVERY).await;
        }
    };
    tokio::time::timeout(takes(context.plan().size()), looks)
        .await
        .ok()
}

fn takes(bytes: u64) -> Duration {
    Duration::from_millis(1500 + bytes * 1000 / BYTES_A_SECOND).min(AT_MOST)
}
