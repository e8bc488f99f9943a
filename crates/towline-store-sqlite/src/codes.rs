//! The numbers that enums have in the database. A number, once released, keeps
//! its meaning for ever.

use towline_core::{
    After, ChecksumAlgorithm, Direction, ListingPhase, Outcome, ParkReason, Phase, Request, State,
};

/// The number of a phase and of what it carries.
pub(crate) const fn phase(phase: Phase) -> (i64, i64) {
    match phase {
        Phase::Queued => (1, 0),
        Phase::Preparing => (2, 0),
        Phase::Moving => (3, 0),
        Phase::Sealing => (4, 0),
        Phase::Finishing => (5, 0),
        Phase::Discarding(After::Cancel) => (6, 1),
        Phase::Discarding(After::Fail) => (6, 2),
        Phase::Discarding(After::Restart) => (6, 3),
        Phase::Parked(reason) => (7, park_reason(reason)),
        Phase::Paused => (50, 0),
        Phase::Completed => (100, 0),
        Phase::Canceled => (101, 0),
        Phase::Failed => (102, 0),
    }
}

const fn park_reason(reason: ParkReason) -> i64 {
    match reason {
        ParkReason::Network => 1,
        ParkReason::Credentials => 2,
        ParkReason::DiskFull => 3,
        ParkReason::ReadOnly => 4,
        ParkReason::Clock => 5,
        ParkReason::Tls => 6,
        ParkReason::Throttled => 7,
        ParkReason::NetworkClass => 8,
    }
}

/// The phase that has these numbers.
pub(crate) fn phase_of(code: i64, sub: i64) -> Option<Phase> {
    Some(match (code, sub) {
        (1, 0) => Phase::Queued,
        (2, 0) => Phase::Preparing,
        (3, 0) => Phase::Moving,
        (4, 0) => Phase::Sealing,
        (5, 0) => Phase::Finishing,
        (6, 1) => Phase::Discarding(After::Cancel),
        (6, 2) => Phase::Discarding(After::Fail),
        (6, 3) => Phase::Discarding(After::Restart),
        (7, _) => {
            let mut known = ParkReason::ALL.into_iter();
            Phase::Parked(known.find(|r| park_reason(*r) == sub)?)
        }
        (50, 0) => Phase::Paused,
        (100, 0) => Phase::Completed,
        (101, 0) => Phase::Canceled,
        (102, 0) => Phase::Failed,
        _ => return None,
    })
}

/// The condition, on columns `t.phase` and `t.sub`, for a state as
/// [`towline_core::Query::states`] means it.
pub(crate) const fn state_condition(state: State) -> &'static str {
    match state {
        State::Waiting | State::InProgress => {
            "(t.phase < 50 AND NOT (t.phase = 7 AND t.sub IN (1, 8)))"
        }
        State::WaitingForNetwork => "(t.phase < 50 AND t.phase = 7 AND t.sub IN (1, 8))",
        State::Paused => "(t.phase >= 50 AND t.phase <> 100 AND t.phase = 50)",
        State::Completed => "(t.phase = 100)",
        State::Canceled => "(t.phase >= 50 AND t.phase <> 100 AND t.phase = 101)",
        State::Failed => "(t.phase >= 50 AND t.phase <> 100 AND t.phase = 102)",
    }
}

/// The number of a direction.
pub(crate) const fn direction(direction: Direction) -> i64 {
    match direction {
        Direction::Upload => 1,
        Direction::Download => 2,
        Direction::Copy => 3,
    }
}

/// The direction that has this number.
pub(crate) const fn direction_of(code: i64) -> Option<Direction> {
    Some(match code {
        1 => Direction::Upload,
        2 => Direction::Download,
        3 => Direction::Copy,
        _ => return None,
    })
}

/// The number of a request.
pub(crate) const fn request(request: Request) -> i64 {
    match request {
        Request::Create => 1,
        Request::Put => 2,
        Request::Complete => 3,
    }
}

/// The request that has this number.
pub(crate) const fn request_of(code: i64) -> Option<Request> {
    Some(match code {
        1 => Request::Create,
        2 => Request::Put,
        3 => Request::Complete,
        _ => return None,
    })
}

/// The number of an outcome.
pub(crate) const fn outcome(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Transferred => 1,
        Outcome::Skipped => 2,
        Outcome::NotModified => 3,
        Outcome::Conflict => 4,
    }
}

/// The outcome that has this number.
pub(crate) const fn outcome_of(code: i64) -> Option<Outcome> {
    Some(match code {
        1 => Outcome::Transferred,
        2 => Outcome::Skipped,
        3 => Outcome::NotModified,
        4 => Outcome::Conflict,
        _ => return None,
    })
}

/// The number of a checksum algorithm.
pub(crate) const fn algorithm(algorithm: ChecksumAlgorithm) -> i64 {
    match algorithm {
        ChecksumAlgorithm::Crc64Nvme => 1,
        ChecksumAlgorithm::Crc32c => 2,
        ChecksumAlgorithm::Crc32 => 3,
        ChecksumAlgorithm::Sha256 => 4,
        ChecksumAlgorithm::Md5 => 5,
    }
}

/// The checksum algorithm that has this number.
pub(crate) const fn algorithm_of(code: i64) -> Option<ChecksumAlgorithm> {
    Some(match code {
        1 => ChecksumAlgorithm::Crc64Nvme,
        2 => ChecksumAlgorithm::Crc32c,
        3 => ChecksumAlgorithm::Crc32,
        4 => ChecksumAlgorithm::Sha256,
        5 => ChecksumAlgorithm::Md5,
        _ => return None,
    })
}

/// The number of the phase of a listing.
pub(crate) const fn listing(phase: ListingPhase) -> i64 {
    match phase {
        ListingPhase::Listing => 1,
        ListingPhase::Listed => 2,
        ListingPhase::Canceled => 3,
        ListingPhase::Failed => 4,
    }
}

/// The phase of a listing that has this number.
pub(crate) fn listing_of(code: i64) -> Option<ListingPhase> {
    let mut known = ListingPhase::ALL.into_iter();
    known.find(|phase| listing(*phase) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_from_its_number() {
        let parked = ParkReason::ALL.into_iter().map(Phase::Parked);
        for value in Phase::ALL.into_iter().chain(parked) {
            let (code, sub) = phase(value);
            assert_eq!(phase_of(code, sub), Some(value));
            assert_eq!(code >= 100, value.is_final(), "{value:?}");
            assert_eq!(code < 50, !value.is_final() && value != Phase::Paused);
        }
        for value in ChecksumAlgorithm::ALL {
            assert_eq!(algorithm_of(algorithm(value)), Some(value));
        }
        for value in ListingPhase::ALL {
            assert_eq!(listing_of(listing(value)), Some(value));
        }
        for value in [Direction::Upload, Direction::Download, Direction::Copy] {
            assert_eq!(direction_of(direction(value)), Some(value));
        }
        for value in [Request::Create, Request::Put, Request::Complete] {
            assert_eq!(request_of(request(value)), Some(value));
        }
        for code in 1..=4 {
            assert_eq!(outcome_of(code).map(outcome), Some(code));
        }
        assert_eq!((phase_of(8, 0), outcome_of(5)), (None, None));
    }
}
