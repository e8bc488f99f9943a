//! `upload` and `download` of a list of pairs, which is read as it is needed.

mod lines;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use towline::{Connection, Direction, HandedOver, State, TransferRequest};
use towline_daemon::Submit;

use self::lines::Line;
pub(crate) use self::lines::{Pair, PairOptions};
use crate::args::{Common, Running, Waiting};
use crate::attach::{Attachment, Stay, Stayed};
use crate::error::Error;
use crate::exit::Exit;
use crate::halving::{self, Refused};
use crate::identity;
use crate::output::{Output, one_line};
use crate::reach::{Reach, Wishes};
use crate::stream;
use crate::url::S3Url;
use crate::verbs::state_dir;

/// How many transfers are submitted, and followed, at one time.
const TOGETHER: usize = 5000;
/// Or as many as there are when no other line comes for so long.
const PAUSE: Duration = Duration::from_millis(200);
/// How many lines are read ahead.
const AHEAD: usize = 256;

/// A list, and how its transfers are carried.
pub(crate) struct List<'a> {
    pub(crate) file: &'a Path,
    pub(crate) direction: Direction,
    pub(crate) running: &'a Running,
    pub(crate) waiting: &'a Waiting,
}

/// Why a line makes no transfer: a code, and words.
pub(crate) type Bad = (String, String);

impl List<'_> {
    /// Carries what the lines ask for, to the end.
    pub(crate) async fn run(
        self,
        make: impl Fn(Pair) -> Result<TransferRequest, Bad>,
        common: &Common,
        output: &mut Output,
    ) -> Result<Exit, Error> {
        let (connection, credentials) = identity::connection(common)?;
        let (_apart, dir) = state_dir(self.running, common)?;
        let is_stdin = stream::is_dash(self.file);
        let group = match is_stdin {
            true => "list from standard input".into(),
            false => {
                let path = std::path::absolute(self.file).unwrap_or_else(|_| self.file.into());
                format!("list {}", path.display())
            }
        };
        let run = Run {
            lines: open(self.file, is_stdin)?,
            make,
            connection,
            credentials,
            group,
            list: self,
            report: Report::default(),
        };
        run.run_to_the_end(&dir, output).await
    }
}

/// An object that a line names. A key is text: other bytes would name another one.
pub(crate) fn url(text: &OsStr) -> Result<S3Url, String> {
    let utf8 = text.to_str();
    utf8.ok_or_else(|| format!("{} is not UTF-8, and a key is", text.display()))?
        .parse()
}

/// Reads lines ahead on a thread of its own, which waits while nobody takes them.
fn open(file: &Path, is_stdin: bool) -> Result<mpsc::Receiver<io::Result<Line>>, Error> {
    let failed = |error| Error::Failed(format!("cannot read {}: {error}", file.display()));
    let opened = match is_stdin {
        true => None,
        false => Some(File::open(file).map_err(failed)?),
    };
    let (ahead, lines) = mpsc::channel(AHEAD);
    let read = move || {
        let give = |line| ahead.blocking_send(Ok(line)).is_ok();
        let read = match opened {
            Some(file) => lines::read(BufReader::new(file), give),
            None => lines::read(io::stdin().lock(), give),
        };
        if let Err(error) = read {
            let _ = ahead.blocking_send(Err(error));
        }
    };
    let thread = std::thread::Builder::new().name("towline-list".into());
    thread.spawn(read).map_err(failed)?;
    Ok(lines)
}

/// What became of the lines.
#[derive(Default)]
struct Report {
    lines: u64,
    submitted: u64,
    /// Lines that say the same as one a little before.
    repeated: u64,
    /// By the code of the reason.
    refused: BTreeMap<String, u64>,
}

struct Run<'a, Make> {
    lines: mpsc::Receiver<io::Result<Line>>,
    make: Make,
    connection: Connection,
    credentials: Option<HandedOver>,
    group: String,
    list: List<'a>,
    report: Report,
}

/// A transfer to be submitted, and the line that asks for it.
type Wanted = (u64, TransferRequest);

/// From where, and to where.
type Ends = (PathBuf, String, String, Option<String>);

fn ends(request: &TransferRequest) -> Ends {
    let request = request.clone();
    (
        request.path,
        request.bucket,
        request.key,
        request.version_id,
    )
}

impl<Make: Fn(Pair) -> Result<TransferRequest, Bad>> Run<'_, Make> {
    async fn run_to_the_end(mut self, dir: &Path, output: &mut Output) -> Result<Exit, Error> {
        if self.list.running.detach {
            while let Some(wanted) = self.collect(output).await? {
                let refused = halving::detach(dir, self.submit_of(&wanted), output).await?;
                self.refuse_all(&wanted, refused, output);
            }
            return Ok(self.end(None, Exit::Done, output));
        }
        let wishes = Wishes::of_group(&self.group, self.list.direction, self.list.running);
        let mut reach = Reach::open(dir.to_owned(), wishes).await?;
        let mut stay = Stay::new(output)?;
        let mut exit = Exit::Done;
        loop {
            let step = tokio::select! {
                wanted = self.collect(output) => wanted?,
                exit = stay.signals.next() => return stay.leave(reach, exit, output).await,
            };
            let Some(wanted) = step else { break };
            let (submitted, refused) = halving::submit(&mut reach, self.submit_of(&wanted)).await?;
            self.refuse_all(&wanted, refused, output);
            let Some(submitted) = submitted else {
                continue;
            };
            let attached = Attachment {
                transfers: submitted.transfers,
                cursor: submitted.cursor,
                credentials: self.credentials.clone(),
                waiting: self.list.waiting,
                goal: State::Completed,
            };
            match attached.stay(&mut reach, &mut stay, output).await? {
                Stayed::Ended(Exit::Done) => {}
                Stayed::Ended(other) => exit = other,
                Stayed::GaveUp(exit) => {
                    reach.leave().await?;
                    return Ok(exit);
                }
                Stayed::Interrupted(exit) => return stay.leave(reach, exit, output).await,
            }
        }
        let exit = self.end(Some(&stay), exit, output);
        reach.lift_caps().await;
        stay.end(reach, exit, output).await
    }

    /// What some lines ask for; `None` behind the last.
    async fn collect(&mut self, output: &mut Output) -> Result<Option<Vec<Wanted>>, Error> {
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut places = HashMap::new();
        while wanted.len() < TOGETHER {
            let next = self.lines.recv();
            let next = match wanted.is_empty() {
                true => next.await,
                // Whoever writes the list may write on for long.
                false => match tokio::time::timeout(PAUSE, next).await {
                    Ok(next) => next,
                    Err(_) => return Ok(Some(wanted)),
                },
            };
            let Some(line) = next else {
                return Ok(Some(wanted).filter(|wanted| !wanted.is_empty()));
            };
            let Line { number, pair } = line.map_err(|error| {
                Error::Failed(format!("cannot read {}: {error}", self.list.file.display()))
            })?;
            self.report.lines += 1;
            let pair = pair.map_err(|why| ("BadLine".into(), why));
            match pair.and_then(&self.make) {
                Ok(mut request) => {
                    // The same line again is the same transfer.
                    let first = places.entry(ends(&request)).or_insert(wanted.len());
                    let first = wanted.get(*first);
                    if first.is_some_and(|(_, first)| first.options == request.options) {
                        self.report.repeated += 1;
                        continue;
                    }
                    request.connection = Some(self.connection.clone());
                    request.group = Some(self.group.clone());
                    wanted.push((number, request));
                }
                Err((code, why)) => self.refuse(number, &code, &why, output),
            }
        }
        Ok(Some(wanted))
    }

    fn submit_of(&mut self, wanted: &[Wanted]) -> Submit {
        self.report.submitted += wanted.len() as u64;
        Submit {
            requests: wanted.iter().map(|(_, request)| request.clone()).collect(),
            credentials: self.credentials.clone(),
        }
    }

    fn refuse_all(&mut self, wanted: &[Wanted], refused: Vec<Refused>, output: &mut Output) {
        for refused in refused {
            self.report.submitted -= 1;
            let of_it = |(_, request): &&Wanted| ends(request) == ends(&refused.request);
            let number = wanted.iter().find(of_it).map_or(0, |(number, _)| *number);
            self.refuse(number, &refused.code, &refused.why, output);
        }
    }

    fn refuse(&mut self, number: u64, code: &str, why: &str, output: &mut Output) {
        *self.report.refused.entry(code.to_owned()).or_default() += 1;
        if output.is_json() {
            output.json_line(&json!({
                "left_out": true, "line": number, "error": { "code": code, "message": why },
            }));
        }
        output.error(&one_line(&format!("line {number}: {why}")));
    }

    /// Says how it went, and with what the command ends.
    fn end(&self, stay: Option<&Stay>, exit: Exit, output: &mut Output) -> Exit {
        let Report {
            lines,
            submitted,
            repeated,
            refused,
        } = &self.report;
        let count: u64 = refused.values().sum();
        let tally = stay.map(|stay| &stay.tally);
        if output.is_json() {
            output.json_line(&json!({ "summary": {
                "lines": lines, "submitted": submitted, "repeated": repeated, "refused": refused,
                "done": tally.map(|tally| tally.done), "bytes": tally.map(|tally| tally.bytes),
                "failed": tally.map(|tally| &tally.failed),
            }}));
        }
        let failed: u64 = tally.map_or(0, |tally| tally.failed.values().sum());
        let words = match tally {
            Some(tally) => format!("{lines} lines: {} done, {failed} not", tally.done),
            None => format!("{lines} lines: {submitted} submitted"),
        };
        match count {
            0 => {
                output.remark(&words);
                exit
            }
            count => {
                output.error(&format!("{words}, {count} refused"));
                Exit::Failed
            }
        }
    }
}
