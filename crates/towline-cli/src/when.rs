//! Moments, as people read them.

use std::time::{Duration, SystemTime};

use towline::Timestamp;

/// `2026-11-28 16:20:36 UTC`.
pub(crate) fn date(at: Timestamp) -> String {
    let secs = at.as_millis().div_euclid(1000);
    let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `3 m ago`.
pub(crate) fn ago(at: Timestamp) -> String {
    let now = Timestamp::from(SystemTime::now()).as_millis();
    let passed = u64::try_from(now.saturating_sub(at.as_millis())).unwrap_or(0);
    format!("{} ago", span(Duration::from_millis(passed)))
}

/// `45 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`.
pub(crate) fn span(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} m {} s", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {} m", secs / 3600, secs / 60 % 60),
        _ => format!("{} d {} h", secs / 86_400, secs / 3600 % 24),
    }
}

/// Year, month and day, so many days after 1970.
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |secs: i64| date(Timestamp::from_millis(secs * 1000));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(4_107_542_399), "2100-02-28 23:59:59 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(at(-1), "1969-12-31 23:59:59 UTC");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(200)), "3 m 20 s");
        assert_eq!(span(Duration::from_secs(7500)), "2 h 5 m");
        assert_eq!(span(Duration::from_secs(273_600)), "3 d 4 h");
    }
}
