//! With what a command reaches S3: the connection that its transfers remember,
//! and the credentials that it hands to their owner.

use towline::{Connection, ConnectionSource, HandedOver, S3Connector};

use crate::args::Common;
use crate::error::Error;

/// Settles what the options, the environment and AWS's files say here.
pub(crate) fn connection(common: &Common) -> Result<(Connection, Option<HandedOver>), Error> {
    let connector = S3Connector::new();
    let connection = connector
        .resolve(common.connection())
        .map_err(|error| towline::Error::from(towline::SubmitError::from(error)))?;
    let credentials = match connection.source {
        ConnectionSource::Environment => credentials(&connector),
        _ => None,
    };
    Ok((connection, credentials))
}

/// What a command hands over with transfers that are there already.
pub(crate) fn of_environment() -> Option<HandedOver> {
    credentials(&S3Connector::new())
}

/// Incomplete ones are left for the transfer to name as its reason to wait.
fn credentials(connector: &S3Connector) -> Option<HandedOver> {
    let found = connector.environment_credentials().ok().flatten();
    found.as_ref().map(HandedOver::from)
}
