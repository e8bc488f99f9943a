//! `download … -`: an object to standard output.

use std::cell::Cell;
use std::io;

use indicatif::BinaryBytes;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use towline::{DownloadStream, ErrorRecord, State, Transfer, TransferUtility};

use super::{Ended, Vigil, file_of};
use crate::apart;
use crate::args::{Common, Download};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;
use crate::reach::config;
use crate::url::S3Url;
use crate::verbs::key_in_file;

/// A stream cannot start anew once bytes of it were given.
const NOT_TWICE: &str = "TargetNotReopenable";

pub(crate) async fn run(
    args: &Download,
    from: &S3Url,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    refuse(args, from)?;
    output.leave_stdout_to_bytes();
    let key = from.key().map_err(Error::address)?;
    let customer_key = key_in_file(args.sse_c_key_file.as_deref())?;
    let mut out = match file_of(&io::stdout()) {
        Ok(file) => File::from_std(file),
        Err(error) => return Err(Error::Failed(unwritable(&error))),
    };
    let mut vigil = Vigil::new(&args.waiting, Progress::new(output))?;
    let apart = apart::dir()?;
    let mut config = config(args.running.concurrency);
    config.bandwidth.download = args.running.bandwidth;
    config.request_rate = args.running.request_rate;
    let utility = apart::open_in(apart.path(), common, config).await?;
    let mut request = utility.download_stream(from.bucket.as_str(), key.as_str());
    if let Some(version) = &args.version_id {
        request = request.version_id(version);
    }
    if let Some(size) = args.part_size {
        request = request.part_size(size);
    }
    if let Some(key) = customer_key {
        request = request.customer_key(key);
    }
    let exit = match request.await {
        Ok(stream) => carry(&utility, stream, &mut out, &mut vigil, output).await,
        Err(error) => Err(error.into()),
    };
    utility.close().await?;
    exit
}

fn refuse(args: &Download, from: &S3Url) -> Result<(), Error> {
    let why = if from.is_prefix() {
        "a prefix has many objects, and standard output takes one; name its key \
         (a directory of this name is ./-)"
    } else if args.running.detach {
        "--detach: a stream ends with the command that writes it; download to a file instead"
    } else if args.running.priority.is_some() {
        "--priority: a stream is carried by itself, ahead of nobody"
    } else if args.restart {
        "--restart: nothing of an earlier stream is kept, so each one starts anew"
    } else if args.on_exists.is_some() {
        "--on-exists is for files: standard output is written as it is"
    } else {
        return Ok(());
    };
    Err(Error::Usage(why.into()))
}

/// Why not all was written.
enum Broken {
    /// The transfer ended, and not well.
    Transfer(Box<towline::Error>),
    /// Whoever reads went away, or its disk is full.
    Output(io::Error),
}

async fn carry(
    utility: &TransferUtility,
    mut stream: DownloadStream,
    out: &mut File,
    vigil: &mut Vigil<'_>,
    output: &mut Output,
) -> Result<Exit, Error> {
    let observer = stream.observer().clone();
    let written = Cell::new(0);
    let copied = copy(&mut stream, out, &written);
    let (transfer, exit) = match vigil.keep(&observer, copied).await {
        Ended::So(Ok(())) => (Some(observer.transfer()), Exit::Done),
        Ended::So(Err(Broken::Transfer(error))) => match *error {
            towline::Error::Ended(mut transfer) => {
                transfer.error = why(utility, &transfer, written.get()).await?;
                (Some(*transfer), Exit::Failed)
            }
            error => return Err(error.into()),
        },
        Ended::So(Err(Broken::Output(error))) => {
            let canceled = vigil.give_up(&observer).await?;
            // Who reads no more, as `head` does, wants to hear nothing either.
            let said = output.is_json() || error.kind() != io::ErrorKind::BrokenPipe;
            if error.kind() != io::ErrorKind::BrokenPipe {
                output.error(&unwritable(&error));
            }
            (canceled.filter(|_| said), Exit::Failed)
        }
        Ended::GaveUp(why) => {
            output.error(&why);
            (vigil.give_up(&observer).await?, Exit::Failed)
        }
        Ended::Interrupted(exit) => (vigil.give_up(&observer).await?, exit),
    };
    // S3 gave all of one that is completed, but not all was written.
    let said = |it: &Transfer| exit == Exit::Done || it.state != State::Completed;
    if let Some(transfer) = transfer.filter(said) {
        output.transfer(&transfer);
    }
    Ok(exit)
}

/// The bytes as they come. They are proven when it ends well, and not before.
async fn copy(
    stream: &mut DownloadStream,
    out: &mut File,
    written: &Cell<u64>,
) -> Result<(), Broken> {
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| Broken::Transfer(error.into()))?;
        out.write_all(&bytes).await.map_err(Broken::Output)?;
        written.set(written.get() + bytes.len() as u64);
    }
    out.flush().await.map_err(Broken::Output)
}

/// Why it failed. Where it would have had to start anew, that is what made it, and
/// not that it could not.
async fn why(
    utility: &TransferUtility,
    transfer: &Transfer,
    written: u64,
) -> Result<Option<ErrorRecord>, Error> {
    let Some(mut error) = transfer.error.clone() else {
        return Ok(None);
    };
    if error.code == NOT_TWICE {
        let incidents = utility.incidents(transfer.id).await?.into_iter();
        let mut causes = incidents.map(|incident| incident.error);
        error = causes
            .rfind(|cause| cause.code != NOT_TWICE)
            .unwrap_or(error);
    }
    if written > 0 {
        let bytes = BinaryBytes(written);
        error.message += &format!("; {bytes} were written, which are not proven");
    }
    Ok(Some(error))
}

fn unwritable(error: &io::Error) -> String {
    format!("cannot write to standard output: {error}")
}
