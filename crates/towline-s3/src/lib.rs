//! Towline's lean S3 client: one file per operation, signing, endpoints, facts about failures.
