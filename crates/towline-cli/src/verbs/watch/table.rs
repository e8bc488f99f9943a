//! The table: what it shows, and what keys do to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use indicatif::BinaryBytes;
use tokio::time::Instant;
use towline::{State, Transfer, TransferId};
use towline_daemon::{About, Mode, Verb};

use super::feed::Told;
use super::screen::{Line, Look};
use crate::columns::{Layout, Pace, fit};
use crate::output::state_text;

/// Over how long a rate is measured.
const RATE: Duration = Duration::from_secs(5);
/// How long what was said stays there.
const SAID: Duration = Duration::from_secs(6);
/// The most finished transfers that stay in the table.
const FINISHED: usize = 500;
/// The lines above and below the rows.
const AROUND: usize = 3;
const HELP: &str = "↑↓ move  p pause  r resume  t retry  c cancel  / filter  q quit";

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    Steer(Verb, TransferId),
}

#[derive(Default)]
pub(super) struct Table {
    owner: Option<About>,
    rows: BTreeMap<TransferId, Row>,
    selected: Option<TransferId>,
    /// The first row that is shown.
    top: usize,
    /// How many rows were shown last.
    page: usize,
    filter: String,
    asks: Asks,
    said: Option<(String, Instant)>,
}

/// What is being asked of who looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asks {
    #[default]
    Nothing,
    /// What to show only.
    Filter,
    /// Whether this one is really to be canceled.
    Cancel(TransferId),
}

struct Row {
    transfer: Transfer,
    /// How many bytes had been moved when, newest last.
    moved: VecDeque<(Instant, u64)>,
}

impl Row {
    /// What a filter looks at.
    fn text(&self) -> String {
        let t = &self.transfer;
        let (file, state) = (t.path.display(), state_text(t.state, t.reason));
        format!("{} {state} s3://{}/{} {file}", t.id, t.bucket, t.key).to_lowercase()
    }

    fn pace(&self, now: Instant) -> Pace {
        let recent = |place: &&(Instant, u64)| now.saturating_duration_since(place.0) <= RATE;
        let (first, last) = (self.moved.iter().find(recent), self.moved.back());
        let (Some((then, before)), Some((_, after))) = (first, last) else {
            return Pace::default();
        };
        let passed = now.saturating_duration_since(*then).as_secs_f64();
        let bytes = after.saturating_sub(*before) as f64;
        Pace {
            bytes_per_second: (passed >= 0.5).then(|| bytes / passed),
        }
    }
}

impl Table {
    pub(super) fn heard(&mut self, told: Told, now: Instant) {
        match told {
            Told::Owner(owner) => self.owner = owner,
            Told::Transfer(transfer) => self.put(*transfer, now),
            Told::Removed(id) => {
                self.rows.remove(&id);
            }
            Told::Anew => self.rows.clear(),
        }
    }

    fn put(&mut self, transfer: Transfer, now: Instant) {
        let ended = transfer.state.is_final();
        let row = self.rows.entry(transfer.id).or_insert_with(|| Row {
            transfer: transfer.clone(),
            moved: VecDeque::new(),
        });
        let anew = row.transfer.generation != transfer.generation;
        if anew || transfer.state != State::InProgress {
            row.moved.clear();
        }
        if transfer.state == State::InProgress {
            row.moved.push_back((now, transfer.bytes_transferred));
            while row.moved.len() > 2 && now.saturating_duration_since(row.moved[1].0) > RATE {
                row.moved.pop_front();
            }
        }
        row.transfer = transfer;
        if ended {
            self.forget_the_oldest();
        }
    }

    fn forget_the_oldest(&mut self) {
        let ended = |(_, row): &(&TransferId, &Row)| row.transfer.state.is_final();
        let count = self.rows.iter().filter(ended).count();
        if count > FINISHED {
            let oldest = self.rows.iter().find(ended).map(|(id, _)| *id);
            oldest.and_then(|id| self.rows.remove(&id));
        }
    }

    /// Says something for a while.
    pub(super) fn say(&mut self, text: String) {
        self.said = Some((text, Instant::now()));
    }

    /// The transfers that are shown, in their order: what is unfinished, oldest
    /// first, then what has ended, newest first.
    fn order(&self) -> Vec<TransferId> {
        let filter = self.filter.to_lowercase();
        let wanted = |row: &&Row| filter.is_empty() || row.text().contains(&filter);
        let (ended, open): (Vec<&Row>, Vec<&Row>) = self
            .rows
            .values()
            .filter(wanted)
            .partition(|row| row.transfer.state.is_final());
        let order = open.into_iter().chain(ended.into_iter().rev());
        order.map(|row| row.transfer.id).collect()
    }

    /// What a key does; what it asks of others.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Some(Wish::Quit);
        }
        match self.asks {
            Asks::Filter => {
                self.key_of_filter(key.code);
                return None;
            }
            Asks::Cancel(id) => {
                self.asks = Asks::Nothing;
                return matches!(key.code, KeyCode::Char('y' | 'Y'))
                    .then_some(Wish::Steer(Verb::Cancel, id));
            }
            Asks::Nothing => {}
        }
        match key.code {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Up | KeyCode::Char('k') => self.step(|place| place.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.step(|place| place + 1),
            KeyCode::PageUp => self.page_by(|place, page| place.saturating_sub(page)),
            KeyCode::PageDown => self.page_by(|place, page| place + page),
            KeyCode::Home | KeyCode::Char('g') => self.step(|_| 0),
            KeyCode::End | KeyCode::Char('G') => self.step(|_| usize::MAX),
            KeyCode::Char('/') => self.asks = Asks::Filter,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('p') => return self.steer(Verb::Pause),
            KeyCode::Char('r') => return self.steer(Verb::Resume),
            KeyCode::Char('t') => return self.steer(Verb::Retry),
            KeyCode::Char('c') => {
                if let Some(id) = self.selected {
                    self.asks = Asks::Cancel(id);
                }
            }
            _ => {}
        }
        None
    }

    fn key_of_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(c) => self.filter.push(c),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.asks = Asks::Nothing,
            KeyCode::Esc => {
                self.filter.clear();
                self.asks = Asks::Nothing;
            }
            _ => {}
        }
    }

    fn steer(&self, verb: Verb) -> Option<Wish> {
        self.selected.map(|id| Wish::Steer(verb, id))
    }

    fn page_by(&mut self, to: impl Fn(usize, usize) -> usize) {
        let page = self.page.max(1);
        self.step(|place| to(place, page));
    }

    fn step(&mut self, to: impl Fn(usize) -> usize) {
        let order = self.order();
        let place = order.iter().position(|id| Some(*id) == self.selected);
        let next = to(place.unwrap_or(0)).min(order.len().saturating_sub(1));
        self.selected = order.get(next).copied();
    }

    /// The table as it is now, in a terminal of this size.
    pub(super) fn lines(&mut self, width: usize, height: usize, now: Instant) -> Vec<Line> {
        let order = self.order();
        self.page = height.saturating_sub(AROUND);
        let place = order.iter().position(|id| Some(*id) == self.selected);
        let place = place.unwrap_or(0);
        self.selected = order.get(place).copied();
        if place < self.top {
            self.top = place;
        } else if place >= self.top + self.page {
            self.top = place + 1 - self.page.max(1);
        }
        self.top = self.top.min(order.len().saturating_sub(self.page));

        let layout = Layout::of(width.saturating_sub(2));
        let mut lines = vec![
            Line {
                text: fit(&self.summary(now), width, false),
                look: Look::Bold,
            },
            plain(format!("  {}", layout.header())),
        ];
        let shown = order.iter().skip(self.top).take(self.page);
        lines.extend(shown.filter_map(|id| {
            let row = self.rows.get(id)?;
            let is_selected = Some(*id) == self.selected;
            let text = layout.row(&row.transfer, row.pace(now));
            let mark = if is_selected { '>' } else { ' ' };
            Some(Line {
                text: fit(&format!("{mark} {text}"), width, false),
                look: if is_selected {
                    Look::Reverse
                } else {
                    Look::Plain
                },
            })
        }));
        lines.resize(height.saturating_sub(1).max(2), Line::default());
        lines.push(plain(fit(&self.last_line(now), width, false)));
        lines.truncate(height);
        lines
    }

    fn summary(&self, now: Instant) -> String {
        let owner = match &self.owner {
            None => "towline: nobody carries transfers".into(),
            Some(about) if about.mode == Mode::Command => format!("towline: command {}", about.pid),
            Some(about) => format!("towline: daemon {}", about.pid),
        };
        let count = |state: State| {
            let rows = self.rows.values();
            rows.filter(|row| row.transfer.state == state).count()
        };
        let counts = State::ALL
            .into_iter()
            .filter(|state| !state.is_final() || *state == State::Failed);
        let counts = counts.map(|state| (count(state), state.as_str().replace('_', " ")));
        let counts: Vec<String> = counts
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let rate: f64 = self
            .rows
            .values()
            .filter_map(|row| row.pace(now).bytes_per_second)
            .sum();
        let rate = if rate >= 1.0 {
            format!("   {}/s", BinaryBytes(rate as u64))
        } else {
            String::new()
        };
        format!("{owner}   {}{rate}", counts.join(", "))
    }

    fn last_line(&self, now: Instant) -> String {
        match (self.asks, &self.said) {
            (Asks::Filter, _) => format!("/{}_   Enter keeps it, Esc shows all", self.filter),
            (Asks::Cancel(id), _) => {
                let row = self.rows.get(&id);
                let what =
                    row.map(|row| format!("s3://{}/{}", row.transfer.bucket, row.transfer.key));
                format!(
                    "cancel {id}, and remove what was moved of it? y/n   {}",
                    what.unwrap_or_default()
                )
            }
            (Asks::Nothing, Some((text, at))) if now.saturating_duration_since(*at) < SAID => {
                text.clone()
            }
            (Asks::Nothing, _) if self.filter.is_empty() => HELP.into(),
            (Asks::Nothing, _) => format!("/{}   {HELP}", self.filter),
        }
    }
}

fn plain(text: String) -> Line {
    Line {
        text,
        look: Look::Plain,
    }
}
