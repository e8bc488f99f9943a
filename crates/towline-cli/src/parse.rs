//! Values on the command line.

use std::num::NonZeroU32;
use std::time::Duration;

use towline::{Bandwidth, PartSize, Rate};

/// The smallest log that is worth reading.
const LOG_MIN_BYTES: u64 = 64 << 10;

/// `16MiB`, `16M`, `16777216`: units are powers of 1024.
pub(crate) fn part_size(text: &str) -> Result<PartSize, String> {
    PartSize::from_bytes(bytes(text)?).map_err(|error| error.to_string())
}

/// The size of a log.
pub(crate) fn log_size(text: &str) -> Result<u64, String> {
    match bytes(text)? {
        size if size >= LOG_MIN_BYTES => Ok(size),
        size => Err(format!(
            "{size} bytes are too few for a log; take 64KiB or more"
        )),
    }
}

/// The same, of any size.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => {
            return Err(format!(
                "{text:?} is not a size; write 16MiB, or a number of bytes"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a size"))?;
    number
        .checked_mul(1 << power)
        .ok_or_else(|| format!("{text:?} is too large"))
}

/// `10MiB`, `10MiB/s`: so many bytes a second.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let size = text.strip_suffix("/s").unwrap_or(text);
    let rate = bytes(size).map_err(|_| {
        format!("{text:?} is not a rate; write 10MiB, or a number of bytes a second")
    })?;
    Rate::from_bytes_per_second(rate).map_err(|error| error.to_string())
}

/// A cap to be set, or lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cap {
    None,
    At(Rate),
}

impl Cap {
    pub(crate) fn rate(self) -> Option<Rate> {
        match self {
            Self::None => None,
            Self::At(rate) => Some(rate),
        }
    }

    pub(crate) fn bytes_per_second(self) -> Option<u64> {
        self.rate().map(Rate::bytes_per_second)
    }
}

/// A rate, or `none`.
pub(crate) fn cap(text: &str) -> Result<Cap, String> {
    match text {
        "none" => Ok(Cap::None),
        text => rate(text).map(Cap::At),
    }
}

/// How much is kept of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound<T> {
    /// All of it.
    None,
    Most(T),
}

impl<T> Bound<T> {
    pub(crate) fn most(self) -> Option<T> {
        match self {
            Self::None => None,
            Self::Most(most) => Some(most),
        }
    }
}

/// So many requests a second.
pub(crate) fn request_rate(text: &str) -> Result<NonZeroU32, String> {
    let wrong = |_| format!("{text:?} is not a number of requests a second; write 50");
    text.parse().map_err(wrong)
}

/// The same, or `none`.
pub(crate) fn request_cap(text: &str) -> Result<Bound<NonZeroU32>, String> {
    match text {
        "none" => Ok(Bound::None),
        text => request_rate(text).map(Bound::Most),
    }
}

/// A number, or `none`.
pub(crate) fn most(text: &str) -> Result<Bound<u64>, String> {
    match text {
        "none" => Ok(Bound::None),
        text => text
            .parse()
            .map(Bound::Most)
            .map_err(|_| format!("{text:?} is not a number; write 100000, or none")),
    }
}

/// A time, or `none`.
pub(crate) fn longest(text: &str) -> Result<Bound<Duration>, String> {
    match text {
        "none" => Ok(Bound::None),
        text => duration(text).map(Bound::Most),
    }
}

/// `up:5MiB,down:20MiB`, one of them, or `10MiB` for each.
pub(crate) fn bandwidth(text: &str) -> Result<Bandwidth, String> {
    if !text.contains(':') {
        let both = cap(text)?.rate();
        return Ok(Bandwidth {
            upload: both,
            download: both,
        });
    }
    let (mut up, mut down) = (None, None);
    for part in text.split(',') {
        let (way, rate) = part.split_once(':').unwrap_or((part, ""));
        let way = match way {
            "up" => &mut up,
            "down" => &mut down,
            _ => return Err(format!("{text:?} is not up:RATE,down:RATE")),
        };
        if way.replace(cap(rate)?).is_some() {
            return Err(format!("{text:?} names a direction twice"));
        }
    }
    Ok(Bandwidth {
        upload: up.and_then(Cap::rate),
        download: down.and_then(Cap::rate),
    })
}

/// The same, as it is read.
pub(crate) fn bandwidth_text(bandwidth: Bandwidth) -> String {
    let text = |rate: Option<Rate>| match rate {
        Some(rate) => rate.bytes_per_second().to_string(),
        None => "none".into(),
    };
    let Bandwidth { upload, download } = bandwidth;
    format!("up:{},down:{}", text(upload), text(download))
}

/// `30`, `30s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time; write 30s, 5m, 2h or 7d");
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(bytes("5242880"), Ok(5 << 20));
        assert_eq!(bytes("16MiB"), bytes("16m"));
        assert!(part_size("4MiB").is_err());
        for wrong in ["", "x", "5 MiB", "-1", "99999999999999999999", "5T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration("90"), duration("1.5m"));
        assert_eq!(duration("7d"), duration("168h"));
        assert!(duration("soon").is_err());
    }

    #[test]
    fn bounds_are_numbers_and_times_or_none() {
        assert_eq!(most("none").map(Bound::most), Ok(None));
        assert_eq!(most("0").map(Bound::most), Ok(Some(0)));
        assert_eq!(longest("none").map(Bound::most), Ok(None));
        assert_eq!(longest("30d").map(Bound::most), Ok(duration("720h").ok()));
        for wrong in ["", "-1", "30d", "1.5", "None"] {
            assert!(most(wrong).is_err(), "{wrong}");
        }
        assert!(longest("ever").is_err());
        assert_eq!(request_cap("none").map(Bound::most), Ok(None));
        assert_eq!(request_cap("50").map(Bound::most), Ok(NonZeroU32::new(50)));
        for wrong in ["0", "-1", "1.5", "50/s", ""] {
            assert!(request_cap(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_of_both_directions_or_of_each() {
        assert_eq!(rate("10MiB/s"), rate("10485760"));
        for wrong in ["", "/s", "10MiB/h", "1023", "none", "0", "10 MiB"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(cap("none"), Ok(Cap::None));
        let mib = |n: u64| Some(Rate::from_bytes_per_second(n << 20).unwrap());
        for (text, upload, download) in [
            ("5MiB", mib(5), mib(5)),
            ("up:5MiB", mib(5), None),
            ("down:20MiB/s,up:5MiB", mib(5), mib(20)),
            ("up:none,down:20MiB", None, mib(20)),
            ("none", None, None),
        ] {
            let read = bandwidth(text).unwrap();
            assert_eq!(read, Bandwidth { upload, download }, "{text}");
            assert_eq!(bandwidth(&bandwidth_text(read)), Ok(read));
        }
        for wrong in [
            "up:",
            "up:5MiB,",
            "up:5MiB,up:6MiB",
            "left:5MiB",
            "up:1,down:5MiB",
        ] {
            assert!(bandwidth(wrong).is_err(), "{wrong}");
        }
    }
}
