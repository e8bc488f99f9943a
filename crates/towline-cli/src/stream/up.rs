//! `upload -`: standard input to an object.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};
use towline::{State, TransferObserver, TransferOptions, TransferUtility, UploadRequest};

use super::{Ended, Vigil, end_those_of_the_killed, file_of, state};
use crate::apart;
use crate::args::{Common, Upload};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;
use crate::reach::config;
use crate::url::S3Url;
use crate::verbs::upload::options;

/// How long the end of standard input is held back.
const GRACE: Duration = Duration::from_millis(200);
/// How long streams of killed commands are waited for once this one has ended.
const OTHERS: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    args: &Upload,
    url: &S3Url,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    refuse(args, url)?;
    let options = options(args)?;
    let input = Input::open()?;
    let ephemeral = args.running.ephemeral;
    let mut vigil = Vigil::new(&args.waiting, Progress::of_stream(output))?;
    let mut apart = match ephemeral {
        true => apart::dir()?,
        false => state::make(&common.state_dir())?,
    };
    let mut config = config(args.running.concurrency);
    config.bandwidth.upload = args.running.bandwidth;
    config.request_rate = args.running.request_rate;
    let utility = apart::open_in(apart.path(), common, config).await?;
    let others = (!ephemeral).then(|| {
        let dir = common.state_dir();
        tokio::spawn(async move { end_those_of_the_killed(&dir).await })
    });
    let observer = match request(args, options, url, input, &utility).await {
        Ok(observer) => observer,
        Err(error) => {
            utility.close().await?;
            return Err(error.into());
        }
    };
    // Until nothing of it is left, the state tells what is.
    apart.disable_cleanup(!ephemeral);
    let (over, exit) = carry(&mut vigil, &observer, output).await?;
    if !over {
        output.error(match ephemeral {
            true => "what S3 holds of the stream could not be removed in time, and stays",
            false => {
                "what S3 holds of the stream could not be removed in time; the next \
                 `towline upload -` on this state removes it"
            }
        });
    }
    tokio::select! {
        closed = utility.close() => closed?,
        _ = vigil.signals.next() => return Ok(exit),
    }
    apart.disable_cleanup(!over && !ephemeral);
    if let (Some(others), true) = (others, over) {
        tokio::select! {
            _ = tokio::time::timeout(OTHERS, others) => {}
            _ = vigil.signals.next() => {}
        }
    }
    Ok(exit)
}

fn refuse(args: &Upload, url: &S3Url) -> Result<(), Error> {
    let why = if args.paths.len() > 1 {
        "'-' goes alone: a stream is one object (a file of this name is ./-)"
    } else if url.is_prefix() {
        "a stream has no name that could be a key; give one: s3://BUCKET/KEY"
    } else if args.running.detach {
        "--detach: a stream ends with the command that reads it; upload a file instead"
    } else if args.restart {
        "--restart: nothing of an earlier stream is kept, so each one starts anew"
    } else if args.running.priority.is_some() {
        "--priority: a stream is carried by itself, ahead of nobody"
    } else if args.on_change.is_some() {
        "--on-change is for files: a stream is read once"
    } else {
        return url.key().map(drop).map_err(Error::address);
    };
    Err(Error::Usage(why.into()))
}

fn request(
    args: &Upload,
    options: TransferOptions,
    url: &S3Url,
    input: Input,
    utility: &TransferUtility,
) -> UploadRequest {
    // Who asks for a part size gets it.
    let length = input.length.filter(|_| args.part_size.is_none());
    let mut request = utility
        .upload_stream(url.bucket.as_str(), url.rest.as_str(), input)
        .object_options(options.object)
        .if_absent(options.if_absent)
        .checksum(options.checksum);
    if let Some(size) = options.part_size {
        request = request.part_size(size);
    }
    if let Some(bytes) = args.expected_size.or(length) {
        request = request.expected_size(bytes);
    }
    if let Some(key) = options.access.customer_key {
        request = request.customer_key(key);
    }
    request
}

/// Stays with it to its end, and says how that was. Tells also whether it is over
/// and nothing of it is left.
async fn carry(
    vigil: &mut Vigil<'_>,
    observer: &TransferObserver,
    output: &mut Output,
) -> Result<(bool, Exit), Error> {
    let (transfer, exit) = match vigil.keep(observer, observer.finished()).await {
        Ended::So(transfer) => (Some(transfer?), Exit::Failed),
        Ended::GaveUp(why) => {
            output.error(&why);
            (vigil.give_up(observer).await?, Exit::Failed)
        }
        Ended::Interrupted(exit) => {
            output.remark("stopping; of a stream nothing is kept");
            (vigil.give_up(observer).await?, exit)
        }
    };
    let Some(transfer) = transfer else {
        return Ok((false, exit));
    };
    output.transfer(&transfer);
    // It may have been whole before it could be given up.
    Ok(match transfer.state {
        State::Completed => (true, Exit::Done),
        _ => (true, exit),
    })
}

/// Standard input. Its end is told a moment late: Ctrl-C ends whoever writes into
/// the pipe too, and that must not pass for the end of the stream.
struct Input {
    file: tokio::fs::File,
    /// What is left of a file.
    length: Option<u64>,
    end: Option<Pin<Box<Sleep>>>,
}

impl Input {
    fn open() -> Result<Self, Error> {
        let failed =
            |error: io::Error| Error::Failed(format!("cannot read standard input: {error}"));
        let mut file = file_of(&io::stdin()).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let length = match found.is_file() {
            true => {
                let at = io::Seek::stream_position(&mut file).map_err(failed)?;
                Some(found.len().saturating_sub(at))
            }
            false => None,
        };
        Ok(Self {
            file: file.into(),
            length,
            end: None,
        })
    }
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.end.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.file).poll_read(cx, buffer))?;
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
        let end = this.end.get_or_insert_with(|| Box::pin(sleep(GRACE)));
        end.as_mut().poll(cx).map(Ok)
    }
}
