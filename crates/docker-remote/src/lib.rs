//! (crate docs to come)
