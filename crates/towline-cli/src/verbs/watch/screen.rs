//! The whole terminal, for as long as the table is shown; then it is as it was.

use std::io::{self, Stdout, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};

/// Where no size is told.
const USUAL: (u16, u16) = (80, 24);

/// A line, and how it is to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) look: Look,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    #[default]
    Plain,
    Bold,
    Reverse,
}

/// A terminal whose screen and modes are the table's. Dropping it, and a panic
/// anywhere, put it back.
pub(super) struct Screen {
    out: Stdout,
    shown: Vec<Line>,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
        enable_raw_mode()?;
        // From here on, whatever fails puts it back.
        let mut screen = Self {
            out: io::stdout(),
            shown: Vec::new(),
        };
        execute!(
            screen.out,
            EnterAlternateScreen,
            Hide,
            Clear(ClearType::All)
        )?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        let size = terminal::size().unwrap_or(USUAL);
        let (width, height) = if size.0 == 0 || size.1 == 0 {
            USUAL
        } else {
            size
        };
        (width.into(), height.into())
    }

    /// What stands there is not known any more.
    pub(super) fn resized(&mut self) {
        self.shown.clear();
    }

    /// Shows these lines; what stands there already is not written again.
    pub(super) fn draw(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if lines == self.shown {
            return Ok(());
        }
        if self.shown.len() != lines.len() {
            queue!(self.out, Clear(ClearType::All))?;
            self.shown.clear();
        }
        for (row, line) in lines.iter().enumerate() {
            if self.shown.get(row) == Some(line) {
                continue;
            }
            queue!(self.out, MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX)))?;
            match line.look {
                Look::Plain => queue!(self.out, Print(&line.text))?,
                Look::Bold => queue!(self.out, SetAttribute(Attribute::Bold), Print(&line.text))?,
                Look::Reverse => {
                    queue!(
                        self.out,
                        SetAttribute(Attribute::Reverse),
                        Print(&line.text)
                    )?;
                }
            }
            queue!(
                self.out,
                SetAttribute(Attribute::Reset),
                Clear(ClearType::UntilNewLine)
            )?;
        }
        self.shown = lines;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}

/// Best effort: the terminal may be gone.
fn restore() {
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::pty;

    /// Not a test of its own: what the other one runs on a terminal.
    #[test]
    #[ignore = "takes the terminal and panics"]
    fn panics_with_the_terminal_taken() {
        let mut screen = Screen::enter().unwrap();
        let line = Line {
            text: "it has the terminal".into(),
            look: Look::Bold,
        };
        screen.draw(vec![line]).unwrap();
        std::io::stdin().read_line(&mut String::new()).unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_leaves_the_terminal_as_it_was_and_is_seen() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "verbs::watch::screen::tests::panics_with_the_terminal_taken";
        command.args([
            name,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
        let mut pty = pty::Pty::run(command, 80, 24);
        pty.until_it_shows("it has the terminal");
        assert!(pty.is_taken());
        // Raw: a return is no line, its feed is.
        pty.types("\n");
        assert_ne!(pty.ends(), Some(0));
        pty.assert_as_before();
        pty.until_it_shows("on purpose");
    }
}
