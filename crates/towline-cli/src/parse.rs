//! Values on the command line.

use std::time::Duration;

use towline::PartSize;

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
}
