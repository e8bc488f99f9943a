//! Whether a store can be reached. Entered on evidence, left when a request
//! that asks nothing else is answered: one for all transfers.

use std::time::Duration;

use towline_core::ParkReason;

/// So many connections that broke in a row, without an answer in between, are
/// a reason to ask whether anybody is there.
const SUSPICIOUS: u32 = 3;

/// So many questions without an answer settle a suspicion.
const SETTLED: u32 = 2;

/// The first question after an outage was found comes within this.
const FIRST: Duration = Duration::from_millis(500);

/// Questions come at least this often: who is back is found within it.
const AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// A certificate does not mend itself as a network does.
const TLS_AT_LEAST_EVERY: Duration = Duration::from_secs(300);

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    state: State,
    /// Connections that broke in a row.
    broken: u32,
    /// Questions in a row that nobody answered.
    unanswered: u32,
    /// The newest question: the time of an older one has passed.
    question: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Up,
    Suspect,
    Down(ParkReason),
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing new.
    Nothing,
    /// Ask, after this time: at least half of it.
    Ask(Duration),
    /// It is there: whoever waits for it goes on.
    Back,
    /// It is gone: nobody can go on. Ask after this time.
    Gone(Duration),
    /// It was known to be gone, and still is. Ask after this time.
    StillGone(Duration),
}

impl Reach {
    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down(_))
    }

    /// Whether it was asked whether it is there, and did not answer.
    pub(crate) fn is_known_gone(&self) -> bool {
        self.is_down() && self.unanswered > 0
    }

    /// Whether it is there is asked just now, or is known not to be so: nothing
    /// else is asked of it.
    pub(crate) fn is_in_question(&self) -> bool {
        self.state != State::Up
    }

    /// Nobody waits for it: nothing is asked any more.
    pub(crate) fn forget(&mut self) {
        self.state = State::Up;
        self.broken = 0;
        self.question += 1;
    }

    /// It answered a request.
    pub(crate) fn answered(&mut self) -> Found {
        self.broken = 0;
        self.unanswered = 0;
        match std::mem::take(&mut self.state) {
            State::Up => Found::Nothing,
            State::Suspect | State::Down(_) => {
                self.question += 1;
                Found::Back
            }
        }
    }

    /// A connection broke.
    pub(crate) fn broke(&mut self) -> Found {
        self.broken += 1;
        match self.broken < SUSPICIOUS {
            true => Found::Nothing,
            false => self.doubted(),
        }
    }

    /// A transfer has to know whether it is there.
    pub(crate) fn doubted(&mut self) -> Found {
        if self.state != State::Up {
            return Found::Nothing;
        }
        self.state = State::Suspect;
        Found::Ask(Duration::ZERO)
    }

    /// A transfer waits for it.
    pub(crate) fn waited_for(&mut self, reason: ParkReason) -> Found {
        let known = self.is_down();
        self.state = State::Down(reason);
        if known {
            return Found::Nothing;
        }
        self.unanswered = 0;
        Found::Ask(FIRST)
    }

    /// The network changed: it may be back at this moment.
    pub(crate) fn hint(&mut self) -> Found {
        if self.state == State::Up {
            return Found::Nothing; // who is gone falls silent, which is watched
        }
        self.unanswered = 0;
        Found::Ask(Duration::ZERO)
    }

    /// Gives the question that is put off now a number.
    pub(crate) fn put_off(&mut self) -> u64 {
        self.question += 1;
        self.question
    }

    /// Whether it is still the one to be asked.
    pub(crate) fn is_due(&self, question: u64) -> bool {
        self.question == question && self.state != State::Up
    }

    /// Nobody answered the question of this number.
    pub(crate) fn unanswered(&mut self, question: u64) -> Found {
        if !self.is_due(question) {
            return Found::Nothing;
        }
        self.unanswered += 1;
        match self.state {
            State::Suspect if self.unanswered >= SETTLED => {
                self.state = State::Down(ParkReason::Network);
                self.unanswered = 0;
                Found::Gone(FIRST)
            }
            State::Suspect => Found::Ask(FIRST),
            _ => Found::StillGone(self.wait()),
        }
    }

    fn wait(&self) -> Duration {
        let most = match self.state {
            State::Down(ParkReason::Tls) => TLS_AT_LEAST_EVERY,
            _ => AT_LEAST_EVERY,
        };
        FIRST.saturating_mul(1 << self.unanswered.min(16)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_asked_more_and_more_seldom_and_at_least_every_30_s() {
        let mut reach = Reach::default();
        assert_eq!(reach.waited_for(ParkReason::Network), Found::Ask(FIRST));
        assert_eq!(reach.waited_for(ParkReason::Network), Found::Nothing);
        let mut last = FIRST;
        for _ in 0..20 {
            let question = reach.put_off();
            let Found::StillGone(wait) = reach.unanswered(question) else {
                panic!("asked no more")
            };
            assert!(wait >= last && wait <= AT_LEAST_EVERY, "{wait:?}");
            last = wait;
        }
        assert_eq!(last, AT_LEAST_EVERY);
        assert_eq!(reach.answered(), Found::Back);
        assert!(!reach.is_down());
    }

    #[test]
    fn connections_that_break_are_a_suspicion_which_an_answer_ends() {
        let mut reach = Reach::default();
        assert_eq!(reach.broke(), Found::Nothing);
        assert_eq!(reach.broke(), Found::Nothing);
        assert_eq!(reach.answered(), Found::Nothing);
        for _ in 1..SUSPICIOUS {
            assert_eq!(reach.broke(), Found::Nothing);
        }
        assert_eq!(reach.broke(), Found::Ask(Duration::ZERO));
        assert_eq!(reach.broke(), Found::Nothing, "it is asked already");
        assert_eq!(reach.answered(), Found::Back, "who had to know goes on");
        assert_eq!(reach.doubted(), Found::Ask(Duration::ZERO));
        let question = reach.put_off();
        assert_eq!(reach.unanswered(question), Found::Ask(FIRST));
        assert!(!reach.is_down(), "one question may be unlucky");
        let question = reach.put_off();
        assert_eq!(reach.unanswered(question), Found::Gone(FIRST));
        assert!(reach.is_down());
    }

    #[test]
    fn a_hint_asks_at_once_and_makes_older_questions_void() {
        let mut reach = Reach::default();
        assert_eq!(reach.hint(), Found::Nothing, "nobody waits");
        reach.waited_for(ParkReason::Tls);
        let old = reach.put_off();
        assert_eq!(reach.hint(), Found::Ask(Duration::ZERO));
        let new = reach.put_off();
        assert!(!reach.is_due(old) && reach.is_due(new));
        assert_eq!(reach.unanswered(old), Found::Nothing);
    }
}
