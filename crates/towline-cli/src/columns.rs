//! Transfers as rows that fit a width: names from outside cannot break them.

use std::time::Duration;

use indicatif::BinaryBytes;
use towline::{State, Transfer};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output::{one_line, state_text};
use crate::when::span;

/// Between two columns.
const GAP: usize = 2;
/// Below this there is no room for both the object and the file.
const OBJECT_AND_PATH: usize = 44;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Id,
    Type,
    State,
    Done,
    Size,
    Rate,
    Left,
    Object,
    Path,
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Type => "TYPE",
            Self::State => "STATE",
            Self::Done => "DONE",
            Self::Size => "SIZE",
            Self::Rate => "RATE",
            Self::Left => "LEFT",
            Self::Object => "OBJECT",
            Self::Path => "FILE",
        }
    }

    /// The object and the file share what the others leave.
    const fn width(self) -> usize {
        match self {
            Self::Id => 7,
            Self::Type => 8,
            Self::State => 22,
            Self::Done => 4,
            Self::Size | Self::Left => 10,
            Self::Rate => 12,
            Self::Object | Self::Path => 0,
        }
    }

    const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Id | Self::Done | Self::Size | Self::Rate | Self::Left
        )
    }
}

/// How fast a transfer is, where that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    pub(crate) bytes_per_second: Option<f64>,
}

impl Pace {
    fn rate(self) -> Option<u64> {
        let rate = self.bytes_per_second.filter(|rate| *rate >= 1.0)?;
        // Above 2^53 it is no rate of this world.
        Some(rate.min(9e15) as u64)
    }

    /// How long a transfer still takes at this pace.
    pub(crate) fn left(self, transfer: &Transfer) -> Option<Duration> {
        let rate = self.rate()?;
        let bytes = transfer
            .bytes_total?
            .checked_sub(transfer.bytes_transferred)?;
        Some(Duration::from_secs(bytes.div_ceil(rate)))
    }
}

/// Which columns there are, and how wide each is.
#[derive(Clone, Debug)]
pub(crate) struct Layout(Vec<(Column, usize)>);

impl Layout {
    /// The columns that have room in a width, the most telling ones first.
    pub(crate) fn of(width: usize) -> Self {
        use Column::{Done, Id, Left, Object, Path, Rate, Size, State, Type};
        const SETS: [&[Column]; 5] = [
            &[Id, Type, State, Done, Size, Rate, Left],
            &[Id, Type, State, Done, Size, Rate],
            &[Id, Type, State, Done],
            &[Id, State, Done],
            &[Id, Done],
        ];
        let used = |set: &[Column]| set.iter().map(|column| column.width() + GAP).sum::<usize>();
        let fits = |set: &&&[Column]| used(set) + 24 <= width;
        let set = SETS.iter().find(fits).unwrap_or(&SETS[4]);
        let mut columns: Vec<_> = set.iter().map(|column| (*column, column.width())).collect();
        let rest = width.saturating_sub(used(set));
        if rest < OBJECT_AND_PATH {
            columns.push((Object, rest));
        } else {
            let object = rest * 6 / 10;
            columns.extend([(Object, object), (Path, rest - object - GAP)]);
        }
        Self(columns)
    }

    pub(crate) fn header(&self) -> String {
        self.join(|column| column.title().to_owned())
    }

    pub(crate) fn row(&self, transfer: &Transfer, pace: Pace) -> String {
        self.join(|column| cell(column, transfer, pace))
    }

    fn join(&self, cell: impl Fn(Column) -> String) -> String {
        let mut line = String::new();
        for (place, (column, width)) in self.0.iter().enumerate() {
            if place > 0 {
                line.push_str("  ");
            }
            line.push_str(&fit(&cell(*column), *width, column.is_number()));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn cell(column: Column, transfer: &Transfer, pace: Pace) -> String {
    let runs = transfer.state == State::InProgress;
    match column {
        Column::Id => transfer.id.to_string(),
        Column::Type => transfer.direction.as_str().to_owned(),
        Column::State => state_text(transfer.state, transfer.reason),
        Column::Done => format!("{}%", percent(transfer)),
        Column::Size => size(transfer),
        Column::Rate => match pace.rate() {
            Some(rate) if runs => format!("{}/s", BinaryBytes(rate)),
            _ => String::new(),
        },
        Column::Left => match pace.left(transfer) {
            Some(left) if runs => span(left),
            _ => String::new(),
        },
        Column::Object => format!("s3://{}/{}", transfer.bucket, transfer.key),
        Column::Path => transfer.path.display().to_string(),
    }
}

/// 100 only when it is all done.
pub(crate) fn percent(transfer: &Transfer) -> u64 {
    match transfer.bytes_total {
        _ if transfer.state == State::Completed => 100,
        Some(0) | None => 0,
        Some(total) => (u128::from(transfer.bytes_transferred) * 100 / u128::from(total))
            .min(99)
            .try_into()
            .unwrap_or(99),
    }
}

pub(crate) fn size(transfer: &Transfer) -> String {
    let total = transfer.bytes_total;
    total.map_or("?".into(), |bytes| BinaryBytes(bytes).to_string())
}

/// Text in exactly this many columns of a terminal: what is too long ends in `…`.
pub(crate) fn fit(text: &str, width: usize, to_the_right: bool) -> String {
    let text = one_line(text);
    let needs = text.width();
    if needs <= width {
        let blank = " ".repeat(width - needs);
        return if to_the_right {
            blank + &text
        } else {
            text + &blank
        };
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        shown.push(c);
    }
    if used < width {
        shown.push('…');
        used += 1;
    }
    shown + &" ".repeat(width - used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits_by_what_a_terminal_shows_of_it() {
        assert_eq!(fit("abc", 5, false), "abc  ");
        assert_eq!(fit("abc", 5, true), "  abc");
        assert_eq!(fit("abcdef", 5, false), "abcd…");
        assert_eq!(fit("漢字漢字", 8, false), "漢字漢字");
        assert_eq!(fit("漢字漢字", 6, false), "漢字… ");
        assert_eq!(fit("e\u{301}e\u{301}", 2, false), "e\u{301}e\u{301}");
        assert_eq!(fit("abc", 0, false), "");
        for width in 0..12 {
            assert_eq!(fit("a漢\u{1b}[2J\u{202e}\nb", width, false).width(), width);
        }
    }

    #[test]
    fn rows_of_every_width_have_it_and_columns_go_before_the_object_does() {
        for width in 0..240 {
            let header = Layout::of(width).header();
            assert!(header.width() <= width.max(15), "{width}: {header}");
            assert_eq!(header.contains("OBJECT"), width >= 21, "{width}: {header}");
        }
        assert!(Layout::of(200).header().ends_with("FILE"));
        assert!(!Layout::of(80).header().contains("RATE"));
    }
}
