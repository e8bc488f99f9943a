//! `presign`: a URL with which anybody can fetch or store an object for a while.

use serde_json::{Map, Value, json};
use towline::{PresignedUrl, TransferUtility};

use crate::apart;
use crate::args::{Common, Presign};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, one_line};

const RETRIES: u32 = 3;

pub(crate) async fn run(
    args: Presign,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    args.url.key().map_err(Error::address)?;
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let signed = sign(&args, &utility).await;
    utility.close().await?;
    let signed = signed?;
    if output.is_json() {
        let headers = signed.headers().iter();
        let headers = headers.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        output.json_line(&json!({
            "url": signed.as_str(), "method": signed.method(), "expires_at": signed.expires_at(),
            "headers": headers.collect::<Map<_, _>>(),
        }));
        return Ok(Exit::Done);
    }
    output.asked_for(signed.as_str());
    for (name, value) in signed.headers() {
        output.remark(&one_line(&format!("to be sent with it: {name}: {value}")));
    }
    Ok(Exit::Done)
}

async fn sign(args: &Presign, utility: &TransferUtility) -> Result<PresignedUrl, towline::Error> {
    let (bucket, key) = (args.url.bucket.as_str(), args.url.rest.as_str());
    if args.put {
        let mut request = utility.presign_put(bucket, key).expires_in(args.expires);
        if let Some(content_type) = &args.content_type {
            request = request.content_type(content_type);
        }
        return request.await;
    }
    let mut request = utility.presign_get(bucket, key).expires_in(args.expires);
    if let Some(version) = &args.version_id {
        request = request.version_id(version);
    }
    if let Some(content_type) = &args.content_type {
        request = request.response_content_type(content_type);
    }
    request.await
}
