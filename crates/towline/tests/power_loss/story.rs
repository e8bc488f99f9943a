//! A run that was recorded: what was done to the disk, what S3 held meanwhile, and
//! what was asked and told.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use towline::State;
use towline_testkit::disk::{Op, Recorded};
use towline_testserver::{Request, Snapshot, TestServer};

use crate::agent::{Agent, Said, Settings};
use crate::machine::Machine;
use crate::wanted::{Step, Wanted};

/// S3, at one moment.
#[derive(Clone)]
pub(crate) struct Mark {
    pub(crate) s3: Snapshot,
    /// How many requests it had seen in this run, and which had not been answered.
    pub(crate) requests: usize,
    pub(crate) running: Vec<u64>,
}

/// The recording.
pub(crate) struct Story {
    pub(crate) recorded: Recorded,
    /// Before each change of the disk, and in the end.
    pub(crate) marks: Vec<Mark>,
    pub(crate) requests: Vec<Request>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) settings: Settings,
}

impl Mark {
    fn take(server: &TestServer) -> Self {
        let running = std::cell::RefCell::new(Vec::new());
        let requests = server.history().count_where(|request| {
            if request.status.is_none() {
                running.borrow_mut().push(request.sequence);
            }
            true
        });
        Self {
            s3: server.snapshot().unwrap(),
            requests,
            running: running.into_inner(),
        }
    }
}

type Marks = Arc<Mutex<Vec<Mark>>>;

fn watch(machine: &Machine, marks: &Marks) -> Box<dyn FnMut(usize) + Send> {
    let (server, marks) = (Arc::clone(&machine.server), Arc::clone(marks));
    Box::new(move |_| marks.lock().unwrap().push(Mark::take(&server)))
}

impl Story {
    /// Lets the library carry these out, from an empty state on.
    pub(crate) fn of(machine: &Machine, wanted: Vec<Wanted>, settings: Settings) -> Self {
        machine.server.history().clear();
        let marks = Marks::default();
        machine.disk.record(watch(machine, &marks));
        let mut wanted = wanted;
        let orders = wanted.iter().map(Wanted::order).collect();
        let mut closed = false;
        for said in Agent::start(machine, settings, orders) {
            match said {
                Said::Step(number, step) => wanted[number].note(machine.disk.changes(), step),
                Said::Closed => closed = true,
                other => panic!("{other:?}"),
            }
        }
        assert!(closed, "the recorded run ended badly");
        Self::end(machine, &marks, Vec::new(), wanted, settings)
    }

    fn end(
        machine: &Machine,
        marks: &Marks,
        before: Vec<Request>,
        wanted: Vec<Wanted>,
        settings: Settings,
    ) -> Self {
        let recorded = machine.disk.recorded();
        let mut marks = std::mem::take(&mut *marks.lock().unwrap());
        marks.push(Mark::take(&machine.server));
        let known = before.len();
        let mut requests = before;
        requests.extend(machine.server.history().requests());
        // Those of an earlier process are counted in their own marks.
        let first = marks.len() - 1;
        if known > 0 {
            marks[first].requests += known;
        }
        Self {
            recorded,
            marks,
            requests,
            wanted,
            settings,
        }
    }

    /// The process was killed after so many changes, and another one, of the same
    /// boot, went on with everything.
    pub(crate) fn killed(self, machine: &Machine, changes: usize) -> Self {
        let mark = &self.marks[changes];
        machine.be_at(&mark.s3);
        let mut requests = self.requests[..mark.requests].to_vec();
        requests.iter_mut().for_each(|it| cut(it, &mark.running));
        let marks = Arc::new(Mutex::new(self.marks[..changes].to_vec()));
        let known = requests.len();
        let (server, noted) = (Arc::clone(&machine.server), Arc::clone(&marks));
        let watch = Box::new(move |_| {
            let mut mark = Mark::take(&server);
            mark.requests += known;
            noted.lock().unwrap().push(mark);
        });
        machine.disk.go_on_from(&self.recorded, changes, watch);
        let mut wanted: Vec<_> = self.wanted.iter().map(|it| it.cut(changes)).collect();
        let mut closed = false;
        for said in Agent::start(machine, self.settings, Vec::new()) {
            let now = machine.disk.changes();
            let (rows, ended) = match said {
                Said::Opened(rows) => (rows, false),
                Said::Finished(rows) => (rows, true),
                Said::Closed => {
                    closed = true;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            for row in rows {
                let it = wanted.iter_mut().find(|it| it.key == row.key).unwrap();
                if it.id_by(usize::MAX).is_none() {
                    it.note(now, Step::Submitted(row.id));
                }
                match (ended, row.state) {
                    (true, state) => it.note(now, Step::Ended(state)),
                    (false, State::Paused) => it.note(now, Step::ResumeAsked),
                    (false, _) => {}
                }
            }
        }
        assert!(closed, "the run after the kill ended badly");
        Self::end(machine, &marks, requests, wanted, self.settings)
    }

    /// A place in it: mostly beside a sync or just after something was told.
    pub(crate) fn draw_place(&self, rng: &mut Rng) -> usize {
        let ops = &self.recorded.ops;
        let all = ops.len();
        let place = match rng.u8(..8) {
            0..4 => {
                let is_sync = |op: &Op| matches!(op, Op::Sync { .. } | Op::SyncDir { .. });
                let syncs: Vec<usize> = (0..all).filter(|at| is_sync(&ops[*at])).collect();
                rng.choice(syncs).map_or(all, |at| at + rng.usize(..2))
            }
            4 | 5 => {
                let told = self.wanted.iter().flat_map(|it| &it.steps);
                let told: Vec<usize> = told.map(|(at, _)| *at).collect();
                rng.choice(told).unwrap_or(all)
            }
            _ => rng.usize(..=all),
        };
        place.min(all)
    }

    /// Where it was first told to have ended so.
    pub(crate) fn ended(&self, state: State) -> usize {
        let told = self.wanted.iter().flat_map(|it| &it.steps);
        let mut ended = told.filter(|(_, step)| *step == Step::Ended(state));
        ended.next().unwrap().0
    }

    /// What was asked of S3 before that place; what was under way is cut.
    pub(crate) fn requests_at(&self, mark: &Mark) -> Vec<Request> {
        let mut requests = self.requests[..mark.requests].to_vec();
        requests.iter_mut().for_each(|it| cut(it, &mark.running));
        requests
    }

    /// What was done around a place, for a message.
    pub(crate) fn around(&self, place: usize) -> String {
        let ops = &self.recorded.ops;
        let shown = place.saturating_sub(12)..(place + 3).min(ops.len());
        let lines = shown.map(|at| {
            let arrow = if at == place {
                "-- power fails --\n"
            } else {
                ""
            };
            format!("{arrow}{at}: {}\n", in_words(&ops[at]))
        });
        lines.collect()
    }
}

fn cut(request: &mut Request, running: &[u64]) {
    if running.contains(&request.sequence) {
        request.status = None;
        request.completed = false;
    }
}

fn in_words(op: &Op) -> String {
    match op {
        Op::Write {
            ino, offset, bytes, ..
        } => format!("write {} bytes at {offset} of {ino}", bytes.len()),
        other => format!("{other:?}"),
    }
}
