//! `head`: what S3 tells of an object beside its bytes.

use indicatif::BinaryBytes;
use serde_json::json;
use towline::{Access, Checksum, ChecksumKind, ObjectMetadata};

use super::key_in_file;
use crate::apart;
use crate::args::{Common, Head};
use crate::error::Error;
use crate::exit::Exit;
use crate::listing::name;
use crate::output::{Output, one_line};
use crate::when::{ago, date};

const RETRIES: u32 = 3;

pub(crate) async fn run(args: Head, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    args.url.key().map_err(Error::address)?;
    let customer_key = key_in_file(args.sse_c_key_file.as_deref())?;
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let mut request = utility.head(args.url.bucket.as_str(), args.url.rest.as_str());
    if let Some(version) = &args.version_id {
        request = request.version_id(version);
    }
    if customer_key.is_some() {
        request = request.access(Access {
            customer_key,
            ..Access::default()
        });
    }
    let told = request.await;
    utility.close().await?;
    let head = match told {
        Err(towline::Error::Request(error)) if error.is_not_found() => {
            let version = args.version_id.as_ref();
            let version = version.map(|version| format!(" with version {version}"));
            let version = version.unwrap_or_default();
            let words = format!("there is no object {}{version}", name(&args.url));
            return Err(Error::Failed(one_line(&words)));
        }
        told => told?,
    };
    if output.is_json() {
        output.json_line(&to_json(&args, &head));
    } else {
        for (name, text) in facts(&args, &head) {
            output.line(&one_line(&format!("{name:<14} {text}")));
        }
    }
    Ok(Exit::Done)
}

fn to_json(args: &Head, head: &ObjectMetadata) -> serde_json::Value {
    let checksum = |(checksum, kind): &(Checksum, ChecksumKind)| {
        json!({
            "algorithm": checksum.algorithm().to_string(), "value": hex(checksum), "kind": kind_name(*kind),
        })
    };
    let checksums: Vec<_> = head.checksums.iter().map(checksum).collect();
    json!({
        "bucket": args.url.bucket.as_str(), "key": args.url.rest, "size": head.size,
        "modified": head.last_modified, "etag": head.etag, "version_id": head.version_id,
        "checksums": checksums, "parts": head.parts, "content_type": head.content_type,
        "content_encoding": head.content_encoding, "content_disposition": head.content_disposition,
        "content_language": head.content_language, "cache_control": head.cache_control,
        "expires": head.expires, "metadata": head.metadata, "tags": head.tag_count,
        "storage_class": head.storage_class, "encryption": head.encryption,
        "kms_key": head.kms_key, "customer_key": head.customer_key, "redirect": head.redirect,
    })
}

fn facts(args: &Head, head: &ObjectMetadata) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut say = |name: &str, text: Option<String>| {
        facts.extend(text.map(|text| (name.to_owned(), text)));
    };
    say("object", Some(name(&args.url)));
    let size = |bytes| format!("{bytes} ({})", BinaryBytes(bytes));
    say("bytes", head.size.map(size));
    let modified = |at| format!("{} ({})", date(at), ago(at));
    say("modified", head.last_modified.map(modified));
    say("etag", head.etag.clone());
    say("version", head.version_id.clone());
    for (checksum, kind) in &head.checksums {
        let text = format!(
            "{} {}, {}",
            checksum.algorithm(),
            hex(checksum),
            kind_name(*kind)
        );
        say("checksum", Some(text));
    }
    say("parts", head.parts.map(|parts| parts.to_string()));
    say("type", head.content_type.clone());
    say("encoding", head.content_encoding.clone());
    say("disposition", head.content_disposition.clone());
    say("language", head.content_language.clone());
    say("cache control", head.cache_control.clone());
    say("expires", head.expires.map(date));
    for (name, value) in &head.metadata {
        say("metadata", Some(format!("{name} {value}")));
    }
    say("tags", head.tag_count.map(|count| count.to_string()));
    say("storage class", head.storage_class.clone());
    say("encryption", head.encryption.clone());
    say("kms key", head.kms_key.clone());
    let by_customer = head
        .customer_key
        .then_some("with a key that S3 does not keep");
    say("encryption", by_customer.map(str::to_owned));
    say("redirect", head.redirect.clone());
    facts
}

fn hex(checksum: &Checksum) -> String {
    let bytes = checksum.as_bytes().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// By the words of `verify`'s proofs.
fn kind_name(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::FullObject => "full-object",
        ChecksumKind::Composite => "composite",
    }
}
