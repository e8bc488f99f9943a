//! `watch`: all transfers as a table on a terminal; else, and for those that are
//! named, a line for each change of state; or those of a group as one.

mod feed;
mod group;
mod lines;
mod screen;
mod table;

use std::io::IsTerminal;
use std::time::Duration;

use crossterm::event::Event;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use self::screen::Screen;
use self::table::{Table, Wish};
use crate::args::{Common, Watch};
use crate::attach::Signals;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The table is drawn at most this often, but for what a key changes.
const DRAW: Duration = Duration::from_millis(250);
/// Changes that wait to be shown.
const TOLD: usize = 1000;

pub(crate) async fn run(args: Watch, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    if let Some(name) = &args.group {
        return group::run(name, common, output).await;
    }
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.ids.is_empty() && on_terminal && !output.is_json() && !output.is_quiet() {
        return table(common).await;
    }
    lines::run(args, common, output).await
}

/// Shows the table until it is told to go.
async fn table(common: &Common) -> Result<Exit, Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("cannot use the terminal: {error}"));
    let dir = common.state_dir();
    let mut signals = Signals::new()?;
    let (tell, mut told) = mpsc::channel(TOLD);
    let following = tokio::spawn(feed::follow(dir.clone(), tell));
    let (say, mut said) = mpsc::unbounded_channel();
    let mut screen = Screen::enter().map_err(failed)?;
    let mut keys = keys().map_err(failed)?;
    let mut table = Table::default();
    let mut draws = tokio::time::interval(DRAW);
    draws.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let exit = loop {
        tokio::select! {
            event = keys.recv() => match event {
                Some(Event::Key(key)) => match table.key(key) {
                    Some(Wish::Quit) => break Exit::Done,
                    Some(Wish::Steer(verb, id)) => {
                        let (dir, say) = (dir.clone(), say.clone());
                        tokio::spawn(async move {
                            // Nobody hears it any more when the table is gone.
                            let _ = say.send(feed::steer(&dir, verb, id).await);
                        });
                    }
                    None => {}
                },
                Some(Event::Resize(..)) => screen.resized(),
                Some(_) => continue,
                // The terminal is gone.
                None => break Exit::Failed,
            },
            Some(text) = said.recv() => table.say(text),
            change = told.recv() => match change {
                Some(change) => {
                    table.heard(change, Instant::now());
                    continue;
                }
                None => break Exit::Failed,
            },
            _ = draws.tick() => {}
            exit = signals.next() => break exit,
        }
        let (width, height) = screen.size();
        let lines = table.lines(width, height, Instant::now());
        screen.draw(lines).map_err(failed)?;
    };
    drop(screen);
    if exit == Exit::Failed && following.is_finished() {
        following
            .await
            .map_err(|_| Error::Failed("an internal error".into()))??;
    }
    Ok(exit)
}

/// What is typed, read by a thread of its own, which ends with the process.
fn keys() -> std::io::Result<mpsc::UnboundedReceiver<Event>> {
    let (typed, keys) = mpsc::unbounded_channel();
    let reader = std::thread::Builder::new().name("keys".into());
    reader.spawn(move || {
        while let Ok(event) = crossterm::event::read() {
            if typed.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(keys)
}
