//! Every call that `docs/from-transfer-utility.md` names, written out by what
//! `towline` exports. Nothing runs it: it has to compile.

use std::time::Duration;

use towline::{
    Addressing, Builder, ByteRange, ChecksumAlgorithm, Command, Config, Connection, Credentials,
    CustomerKey, Direction, Encryption, Error, Grantee, KeyReference, ObjectOptions, Outcome,
    PartSize, Permission, Query, Reason, Recovery, State, Timestamp, Transfer, TransferId,
    TransferListener, TransferRequest, TransferUtility, UploadMode, Wait, WhenTargetExists,
};

type Anything = Result<(), Box<dyn std::error::Error>>;

struct Quiet;
impl TransferListener for Quiet {}

pub async fn opening(text: &str) -> Anything {
    let mut config = Config::default();
    config.requests = Some(4);
    config.parts_per_transfer = Some(5);
    config.byte_budget = 40 << 20;
    config.window = 512;
    config.stall_timeout = Duration::from_secs(20);
    config.progress_interval = Duration::from_millis(100);
    config.recovery = Recovery::Named;
    let builder = TransferUtility::builder()
        .config(config)
        .default_bucket("bucket")
        .connection(Connection {
            accelerate: true,
            addressing: Addressing::Auto,
            endpoint: None,
            dual_stack: true,
            fips: false,
            ..Connection::default()
        })
        .customer_key("own", CustomerKey::new([0; 32]))
        .transfer_thread_pool_size(8)
        .transfer_service_check_interval(Duration::from_secs(60))
        .minimum_upload_part_size_mb(5)
        .retry_limit(0);
    let utility = TransferUtility::register("name", builder).await?;
    let _: Option<TransferUtility> = TransferUtility::named("name");
    let _: bool = TransferUtility::unregister("name").await?;
    Builder::from_aws_configuration(text, "Default")?
        .open()
        .await?;
    utility.set_limits(None, Some(2))?;
    utility
        .set_credentials("name", Credentials::new("id", "secret"))
        .await?;
    Ok(())
}

pub async fn uploads(utility: TransferUtility) -> Anything {
    let observer = utility
        .upload("", "key", "file")
        .metadata("name", "value")
        .content_type("text/plain")
        .cache_control("no-store")
        .acl("public-read")
        .grant(Permission::Read, Grantee::Id("id".into()))
        .tag("name", "value")
        .website_redirect("/there")
        .requester_pays(true)
        .encryption(Encryption::S3)
        .customer_key(KeyReference::Registered("own".into()))
        .checksum(ChecksumAlgorithm::Md5)
        .mode(UploadMode::Multipart)
        .part_size(PartSize::from_bytes(8 << 20)?)
        .header("x-amz-meta-a", "b")
        .parameter("name", "value")
        .token("mine")
        .group("album")
        .listener(Quiet)
        .await?;
    observer.set_listener(Quiet);
    observer.clear_listener();
    let _: bool = observer.resume_with(Quiet).await?;
    let (_, _, _, _) = (
        observer.id(),
        observer.state(),
        observer.bytes_transferred(),
        observer.bytes_total(),
    );
    let _ = observer.updates();
    let Transfer {
        bucket,
        key,
        path,
        etag,
        error,
        outcome,
        reason,
        verified,
        ..
    } = observer.finished().await?;
    println!("{bucket} {key} {path:?} {etag:?} {error:?} {outcome:?} {reason:?} {verified:?}");
    utility
        .upload("", "key", "file")
        .object_options(ObjectOptions::default())
        .await?;
    utility
        .upload_data("", "key", vec![1, 2, 3])
        .spool(true)
        .await?;
    utility.upload_stream("", "key", tokio::io::empty()).await?;
    let many = vec![TransferRequest::upload("", "key", "file")];
    let _: Vec<TransferId> = utility.submit(many).await?;
    Ok(())
}

pub async fn downloads(utility: TransferUtility) -> Anything {
    utility
        .download("", "key", "file")
        .when_target_exists(WhenTargetExists::SkipIfIdentical)
        .version_id("version")
        .range(ByteRange::Last(10))
        .if_match("etag")
        .if_none_match("etag")
        .if_modified_since(Timestamp::from_millis(0))
        .if_unmodified_since(Timestamp::from_millis(0))
        .await?;
    let _ = utility.download_stream("", "key").to_bytes().await?;
    let transfer = utility
        .download_stream("", "key")
        .to_writer(tokio::io::sink())
        .await?;
    let _: bool = transfer.outcome == Some(Outcome::NotModified);
    let _: bool = transfer.reason == Some(Reason::Canceling);
    Ok(())
}

pub async fn steering(utility: TransferUtility, id: TransferId) -> Result<(), Error> {
    let _: bool = utility.pause(id).await?;
    let _: bool = utility.resume(id).await?;
    let _: bool = utility.retry(id).await?;
    let _: bool = utility.cancel(id).await?;
    let _: Vec<TransferId> = utility.pause_all(Some(Direction::Upload)).await?;
    utility.resume_all(None).await?;
    utility.retry_all(None).await?;
    utility.cancel_all(None).await?;
    let (bucket, key) = (Some("bucket".into()), Some("key".into()));
    let query = Query {
        bucket,
        key,
        ..Query::default()
    };
    utility.steer_all(Command::Cancel, query).await?;
    utility.remove(id).await?;
    utility.remove_all(Query::default()).await?;
    utility.observe(id).await?.finished().await?;
    let _: bool = utility.get(id).await?.state.is_final();
    let (direction, states) = (Some(Direction::Upload), vec![State::Paused]);
    utility
        .find(Query {
            direction,
            states,
            ..Query::default()
        })
        .await?;
    let _ = utility.follow(utility.changes(None, 100).await?.1.into());
    utility.incidents(id).await?;
    Ok(())
}

pub async fn beside_transfers(utility: TransferUtility) -> Result<(), Error> {
    println!("{:?}", utility.head("", "key").await?.metadata);
    println!("{:?}", utility.check_lifecycle("").await?.rules);
    let leftovers = utility.leftovers("").key("key").prefix("k");
    let leftovers = leftovers.older_than(Duration::from_secs(86_400));
    println!("{:?}", leftovers.abort().await?.aborted);
    let before = utility
        .leftovers("")
        .initiated_before(Timestamp::from_millis(0));
    println!("{:?}", before.list().await?);
    Ok(())
}

pub fn blocking(utility: TransferUtility) -> Result<Transfer, Error> {
    utility.upload("", "key", "file").wait()?.finished().wait()
}
