//! An S3 server for tests and the demo: real sockets, verified signatures, a request history.
