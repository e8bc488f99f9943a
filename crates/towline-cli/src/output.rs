//! What is said: text for people, JSON lines for programs.

use std::io::{IsTerminal, Write};

use towline::{Only, Reason, State, Transfer};

use crate::args::Common;

/// Where everything is said.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Standard output has the bytes of an object, and nothing else.
    bytes_go_out: bool,
    /// Nobody reads the results any more.
    unheard: bool,
}

impl Output {
    pub(crate) fn new(common: &Common) -> Self {
        Self {
            json: common.json,
            quiet: common.quiet,
            bytes_go_out: false,
            unheard: false,
        }
    }

    /// Everything is said on standard error from now on.
    pub(crate) fn leave_stdout_to_bytes(&mut self) {
        self.bytes_go_out = true;
    }

    /// Whether a moving display is wanted and possible.
    pub(crate) fn shows_progress(&self) -> bool {
        let in_the_way = self.bytes_go_out && std::io::stdout().is_terminal();
        !self.json && !self.quiet && !in_the_way && std::io::stderr().is_terminal()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether the reader of the results went away, as `head` does.
    pub(crate) fn is_unheard(&self) -> bool {
        self.unheard
    }

    /// Of which transfers anything is said when they end.
    pub(crate) fn heeds(&self) -> Only {
        match self.quiet && !self.json {
            true => Only::Trouble,
            false => Only::Rest,
        }
    }

    /// A line for people.
    pub(crate) fn line(&mut self, text: &str) {
        if !self.json && !self.quiet {
            self.tell(&printable(text));
        }
    }

    /// What was asked for and is no sentence; said in any case.
    pub(crate) fn asked_for(&mut self, text: &str) {
        self.tell(&printable(text));
    }

    /// A question for people, to be answered on the same line.
    pub(crate) fn question(&mut self, text: &str) {
        let mut stream = std::io::stderr();
        let _ = write!(stream, "{} ", printable(text));
        let _ = stream.flush();
    }

    fn tell(&mut self, text: &str) {
        self.unheard |= match self.bytes_go_out {
            true => !put(&mut std::io::stderr(), text),
            false => !put(&mut std::io::stdout(), text),
        };
    }

    /// A remark for people, apart from the results.
    pub(crate) fn remark(&mut self, text: &str) {
        if !self.json && !self.quiet {
            put(&mut std::io::stderr(), &printable(text));
        }
    }

    /// What went wrong; said in any case.
    pub(crate) fn error(&mut self, text: &str) {
        put(
            &mut std::io::stderr(),
            &format!("towline: {}", printable(text)),
        );
    }

    /// One JSON object.
    pub(crate) fn json_line(&mut self, value: &serde_json::Value) {
        self.tell(&value.to_string());
    }

    /// A page that logs a browser in; said in any case, as it was asked for.
    pub(crate) fn login(&mut self, code: &towline_daemon::LoginCode) {
        match self.json {
            true => self.json_line(&serde_json::to_value(code).unwrap_or_default()),
            false => self.tell(&code.url),
        }
    }

    /// How a transfer ended, or where it stands.
    pub(crate) fn transfer(&mut self, transfer: &Transfer) {
        if self.json {
            self.json_line(&to_json(transfer));
        } else if transfer.state == State::Failed {
            self.error(&sentence(transfer));
        } else {
            self.line(&sentence(transfer));
        }
    }
}

/// The contract's fields; a path that is not UTF-8 is whole in `path_b64`.
pub(crate) fn to_json(transfer: &Transfer) -> serde_json::Value {
    serde_json::to_value(transfer).unwrap_or_default()
}

/// `uploaded a.bin to s3://b/a.bin, 5.0 MiB, verified full-object`.
pub(crate) fn sentence(transfer: &Transfer) -> String {
    let object = format!("s3://{}/{}", transfer.bucket, transfer.key);
    // A stream has no path, and in a state of its own no number that would say anything.
    let stream = transfer.path.as_os_str().is_empty();
    let (path, number) = match stream {
        true => ("-".to_owned(), String::new()),
        false => (
            transfer.path.display().to_string(),
            format!(" {}", transfer.id),
        ),
    };
    let (from, to, verb) = match transfer.direction {
        towline::Direction::Upload => (path, object, "uploaded"),
        towline::Direction::Download => (object, path, "downloaded"),
        towline::Direction::Copy => (path, object, "copied"),
    };
    match transfer.state {
        State::Completed => {
            let bytes = indicatif::BinaryBytes(transfer.bytes_total.unwrap_or(0));
            let proof = transfer
                .verified
                .map_or("nothing", |verified| verified.as_str());
            format!("{verb} {from} to {to} ({bytes}, verified {proof})")
        }
        state => {
            let why = transfer
                .error
                .as_ref()
                .map(|error| format!(": {}", error.message));
            let verb = transfer.direction.as_str();
            format!(
                "{verb}{number} of {from} to {to} {state}{}",
                why.unwrap_or_default()
            )
        }
    }
}

/// `waiting (credentials)`: a state, with its reason where it has one.
pub(crate) fn state_text(state: State, reason: Option<Reason>) -> String {
    match reason.map(serde_json::to_value) {
        Some(Ok(serde_json::Value::String(reason))) => {
            format!("{state} ({})", reason.replace('_', " "))
        }
        _ => state.to_string(),
    }
}

/// Text with its control characters made visible, so that a name from S3 cannot
/// steer the terminal. Lines stay lines.
pub(crate) fn printable(text: &str) -> String {
    shown(text, |c| c == '\n')
}

/// The same, as one line.
pub(crate) fn one_line(text: &str) -> String {
    shown(text, |_| false)
}

fn shown(text: &str, stays: impl Fn(char) -> bool) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) && !stays(c) {
            shown.extend(c.escape_unicode())
        } else {
            shown.push(c)
        }
    }
    shown
}

/// Gives whether anybody reads it: a reader that went away wants to hear
/// nothing more.
fn put(stream: &mut impl Write, text: &str) -> bool {
    match writeln!(stream, "{text}") {
        Ok(()) => true,
        Err(error) => error.kind() != std::io::ErrorKind::BrokenPipe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        let shown = printable("a\u{1b}[31m\u{7}\r\u{202e}b\u{9b}");
        assert!(!shown.chars().any(char::is_control));
        assert!(shown.starts_with('a') && !shown.contains('\u{202e}'));
        assert_eq!(printable("plain ä ü\n"), "plain ä ü\n");
        assert_eq!(one_line("a\nb"), "a\\u{a}b");
    }
}
