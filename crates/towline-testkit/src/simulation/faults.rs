//! What goes wrong with single requests to a simulated store, drawn from a seed.

use std::time::Duration;

use towline_core::Operation;

/// What is done to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused before its body is read.
    Refuse(u16),
    /// It is read, done or not, and refused.
    RefuseAfter(u16, Applied),
    /// The connection breaks after so many percent of the body.
    CutAt(u8),
    /// The connection breaks instead of the answer.
    CutAfter(Applied),
    /// Nobody answers any more.
    Silent(Applied),
    /// It is done, answered, and done once more after this time.
    Twice(Duration),
    /// The answer's body breaks off after so many percent.
    BodyCutAt(u8),
    /// The answer's body is silent after so many percent.
    BodySilentAt(u8),
    /// A bit of the answer's body is flipped.
    Flip,
    /// The answer's body has a byte more than it says.
    Longer,
    /// The answer is about other bytes than were asked for.
    OtherRange,
    /// The answer is about all bytes.
    Whole,
}

/// Whether a request is carried out whose answer does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It will be, after this time.
    Late(Duration),
}

/// How often what goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// In a thousand requests.
    pub faults: u64,
    /// Of these faults, in a thousand, so many are lies about bytes.
    pub lies: u64,
}

impl Weather {
    pub(super) fn draw(self, dice: &mut fastrand::Rng, operation: Operation) -> Option<Fault> {
        if self.faults == 0 || dice.u64(0..1000) >= self.faults {
            return None;
        }
        let reads = operation == Operation::GetObject;
        if reads && dice.u64(0..1000) < self.lies {
            return Some(match dice.u8(0..4) {
                0 => Fault::Flip,
                1 => Fault::Longer,
                2 => Fault::OtherRange,
                _ => Fault::Whole,
            });
        }
        let percent = dice.u8(0..100);
        let status = [500, 503, 502, 408, 429][dice.usize(0..5)];
        let seconds = Duration::from_millis(dice.u64(1..40_000));
        // A Create that is carried out long after its sender has looked, or twice, opens
        // an upload that nobody can tell from a stranger's.
        let may_be_twice = operation != Operation::CreateMultipartUpload;
        let late = match may_be_twice {
            true => seconds,
            false => seconds.min(Duration::from_millis(1500)),
        };
        let applied = match dice.u8(0..3) {
            0 => Applied::No,
            1 => Applied::Late(late),
            _ => Applied::Yes,
        };
        Some(match dice.u8(0..if reads { 8 } else { 6 }) {
            0 => Fault::Refuse(status),
            // Who says that it is too much, or that nothing came, has done nothing.
            1 if matches!(status, 429 | 503) => Fault::RefuseAfter(status, Applied::No),
            1 => Fault::RefuseAfter(status, applied),
            2 => Fault::CutAt(percent),
            3 => Fault::CutAfter(applied),
            4 => Fault::Silent(applied),
            5 if may_be_twice => Fault::Twice(seconds),
            5 => Fault::Refuse(status),
            6 => Fault::BodyCutAt(percent),
            _ => Fault::BodySilentAt(percent),
        })
    }
}
