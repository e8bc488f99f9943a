//! Looks at the source anew, for a generation that starts from zero.

use towline_core::{Event, Failure};

use crate::act::{Context, blocking};
use crate::files::inspect_source;

pub(crate) async fn inspect(context: &Context) -> Result<Event, Failure> {
    let path = context.spec().path.clone();
    let source = blocking(move || inspect_source(&path)).await?;
    Ok(Event::Inspected(source))
}
