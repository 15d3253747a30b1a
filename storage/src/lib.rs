//! The durable list of files, users and transfers of a data directory.
