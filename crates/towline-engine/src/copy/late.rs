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

/// One look may take so long.
const ONE_LOOK: Duration = Duration::from_millis(1500);

/// The proof of a copy that was canceled too late, looked for as long as the store may
/// be at work with it. That nobody can tell does not keep it from being canceled.
pub(crate) async fn landed_late(context: &Context) -> Option<Proof> {
    let asked = context.record.asked.map(|asked| asked.request);
    let is_canceled = context.record.phase == Phase::Discarding(After::Cancel);
    let origin = context.record.origin.as_ref()?;
    if !is_canceled || asked != Some(Request::Put) {
        return None;
    }
    // What was not asked for in this process is over by now.
    let until = context
        .unanswered
        .map(|since| since + takes(context.plan().size()));
    loop {
        let look = tokio::time::timeout(ONE_LOOK, head::now(context, None));
        if let Ok(Ok(Some(there))) = look.await
            && let Judgement::Ours(proof) = is_ours(context, origin, &there)
        {
            return Some(proof);
        }
        if until.is_none_or(|until| context.clock.monotonic() >= until) {
            return None;
        }
        context.clock.sleep(EVERY).await;
    }
}

fn takes(bytes: u64) -> Duration {
    Duration::from_millis(1500 + bytes * 1000 / BYTES_A_SECOND).min(AT_MOST)
}
