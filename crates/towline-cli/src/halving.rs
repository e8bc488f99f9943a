//! Many requests at once, of which some may be refused.

use std::path::Path;

use towline::TransferRequest;
use towline_daemon::{ClientError, Submit, Submitted};

use crate::error::Error;
use crate::output::Output;
use crate::reach::Reach;

/// A request that the owner refused.
pub(crate) struct Refused {
    pub(crate) request: TransferRequest,
    pub(crate) code: String,
    pub(crate) why: String,
}

/// Submits requests, and tells which were refused.
pub(crate) async fn submit(
    reach: &mut Reach,
    submit: Submit,
) -> Result<(Option<Submitted>, Vec<Refused>), Error> {
    let mut all: Option<Submitted> = None;
    let refused = halve(submit, async |some| {
        let submitted = reach.submit(&some).await?;
        match &mut all {
            // The first cursor is before all of them.
            Some(all) => all.transfers.extend(submitted.transfers),
            None => all = Some(submitted),
        }
        Ok(())
    });
    let refused = refused.await?;
    Ok((all, refused))
}

/// Leaves requests to a process in the background, and tells which were refused.
pub(crate) async fn detach(
    dir: &Path,
    submit: Submit,
    output: &mut Output,
) -> Result<Vec<Refused>, Error> {
    halve(submit, async |some| {
        crate::detach::detach(dir, &some, output).await
    })
    .await
}

/// Halves what is refused until it is known which requests those are.
async fn halve(
    submit: Submit,
    mut ask: impl AsyncFnMut(Submit) -> Result<(), Error>,
) -> Result<Vec<Refused>, Error> {
    let mut refused = Vec::new();
    let mut batches = vec![submit.requests];
    while let Some(mut batch) = batches.pop() {
        if batch.is_empty() {
            continue;
        }
        let some = Submit {
            requests: batch.clone(),
            credentials: submit.credentials.clone(),
        };
        match ask(some).await {
            Ok(()) => {}
            Err(Error::Owner(ClientError::Problem(problem))) if problem.status == 422 => {
                if batch.len() == 1 {
                    refused.push(Refused {
                        request: batch.remove(0),
                        code: problem.code.clone(),
                        why: problem.detail,
                    });
                } else {
                    let rest = batch.split_off(batch.len() / 2);
                    batches.extend([rest, batch]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}
