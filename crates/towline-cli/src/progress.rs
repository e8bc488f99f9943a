//! The moving display: how much, how fast, how long still.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use towline::{Group, ListingPhase, Reason, State, Transfer};

use crate::output::{Output, printable, state_text};

/// One line for all transfers of a command.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new(output: &Output) -> Self {
        Self::with(
            output,
            "{wide_msg} {bar:20} {percent:>3}% {binary_bytes:>10} of {binary_total_bytes} {binary_bytes_per_sec:>12} {eta:>4} left",
        )
    }

    /// Of bytes of which nobody knows how many there will be.
    pub(crate) fn of_stream(output: &Output) -> Self {
        let template = "{wide_msg} {binary_bytes:>10} {binary_bytes_per_sec:>12}";
        Self::with(output, template)
    }

    fn with(output: &Output, template: &str) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_draw_target(if output.shows_progress() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        });
        let style = ProgressStyle::with_template(template);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    pub(crate) fn show<'a>(&self, transfers: impl Iterator<Item = &'a Transfer> + Clone) {
        if self.bar.is_hidden() {
            return;
        }
        let total = transfers.clone().filter_map(|t| t.bytes_total).sum();
        let moved = transfers.clone().map(|t| t.bytes_transferred).sum();
        self.bar.set_length(total);
        // A new start shows: what was moved before is gone.
        if moved < self.bar.position() {
            self.bar.reset_eta();
        }
        self.bar.set_position(moved);
        let transfers: Vec<&Transfer> = transfers.collect();
        self.bar.set_message(printable(&message(&transfers)));
    }

    /// How far a group is, of what it found so far.
    pub(crate) fn show_group(&self, group: &Group) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_length(group.found.bytes);
        self.bar.set_position(group.transfers.bytes_done);
        self.bar.set_message(printable(&message_of_group(group)));
    }

    /// Says something beside the line that moves.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn message_of_group(group: &Group) -> String {
    let sums = &group.transfers;
    let open = sums.going + sums.paused;
    let all = open + sums.completed + sums.canceled + sums.failed;
    let listing = match group.listing {
        ListingPhase::Listing => ", listing",
        _ => "",
    };
    let what = format!("{open} of {all} files{listing}");
    match (group.state, &group.error) {
        (State::Paused, _) => format!("{what}: paused"),
        (State::Waiting, Some(error)) => format!("{what}: {}", error.message),
        _ => what,
    }
}

fn message(transfers: &[&Transfer]) -> String {
    let open: Vec<_> = transfers.iter().filter(|t| !t.state.is_final()).collect();
    let Some(first) = open.first() else {
        return String::new();
    };
    let what = match open.len() {
        1 => first.key.rsplit('/').next().unwrap_or_default().to_owned(),
        n => format!("{n} of {} files", transfers.len()),
    };
    match (first.state, first.reason) {
        (State::WaitingForNetwork, _) => format!("{what}: waiting for the network"),
        (State::Waiting, Some(Reason::Parked(_))) => {
            format!("{what}: {}", state_text(first.state, first.reason))
        }
        (State::Waiting, Some(Reason::BackingOff)) => format!("{what}: trying again"),
        (State::Paused, _) => format!("{what}: paused"),
        (_, Some(Reason::Verifying)) => format!("{what}: verifying"),
        _ => what,
    }
}
