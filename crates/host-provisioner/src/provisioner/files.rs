//! The client's files, which may be on a file system that hangs.

use super::Provisioner;
use crate::{Adoption, ClientFilesError, Record, Wait};

impl Provisioner {
    /// As [`ClientFiles::adopt`](crate::ClientFiles::adopt), in time.
    pub(super) async fn adopt_files(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        self.in_time(record, self.files.adopt(record)).await
    }

    /// As [`ClientFiles::adopt_stopped`](crate::ClientFiles::adopt_stopped), in time.
    pub(super) async fn adopt_stopped_files(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        self.in_time(record, self.files.adopt_stopped(record)).await
    }

    /// As [`ClientFiles::forget`](crate::ClientFiles::forget), in time.
    pub(super) async fn forget_files(&self, record: &Record) -> Result<(), ClientFilesError> {
        self.in_time(record, self.files.forget(record)).await
    }

    async fn in_time<T>(
        &self,
        record: &Record,
        work: impl Future<Output = Result<T, ClientFilesError>>,
    ) -> Result<T, ClientFilesError> {
        let within = self.work.bounds.patience.cleans_up;
        let done = self.work.bounds.wait(Wait::Files { host: record.host.clone() }, within, work).await;
        done.unwrap_or_else(|| Err(format!("the file system did not answer within {} s", within.as_secs()).into()))
    }
}
