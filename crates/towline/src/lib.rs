//! Durable transfers to and from Amazon S3 and S3-compatible stores.
