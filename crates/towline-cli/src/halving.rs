//! Many requests at once, of which some may be refused.

use towline::TransferRequest;
use towline_daemon::{ClientError, Submit, Submitted};

use crate::error::Error;
use crate::reach::Reach;

/// A request that the owner refused.
pub(crate) struct Refused {
    pub(crate) request: TransferRequest,
    pub(crate) code: String,
    pub(crate) why: String,
}

/// Submits requests, and tells which were refused. Halves them until it is known
/// which those are.
pub(crate) async fn submit(
    reach: &mut Reach,
    submit: Submit,
) -> Result<(Option<Submitted>, Vec<Refused>), Error> {
    let mut all: Option<Submitted> = None;
    let mut refused = Vec::new();
    let Submit {
        requests,
        credentials,
    } = submit;
    let mut batches = vec![requests];
    while let Some(mut batch) = batches.pop() {
        if batch.is_empty() {
            continue;
        }
        let submit = Submit {
            requests: batch.clone(),
            credentials: credentials.clone(),
        };
        match reach.submit(&submit).await {
            Ok(submitted) => match &mut all {
                // The first cursor is before all of them.
                Some(all) => all.transfers.extend(submitted.transfers),
                None => all = Some(submitted),
            },
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
    Ok((all, refused))
}
