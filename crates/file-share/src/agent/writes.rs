//! Bulk writes, of which several are on their way at a time: the kernel has its answer at once, and sends the next.
//!
//! As with NFS (open(2), "O_SYNC"; nfs(5), "async"), an error is told by the next write, by fsync(2) or by close(2), whichever comes first;
//! these two wait until all that was written before has been answered. So nothing that a program has closed is still on its way. Only what
//! is long is answered so: who writes a line and does not look at what close(2) says learns of a full disk as ever. The server does writes in
//! their order, and before whatever came after them.

use std::collections::HashMap;

use rustix::{fs::OFlags, io::Errno};
use zerocopy::FromBytes as _;

use crate::message::{self, Answer, HEADER, InHeader, OUT_HEADER, OutHeader, WRITE_CACHE, WriteIn, WriteOut, opcode};

/// What is at least so long, in bytes, does not wait.
const LONG: u32 = 64 << 10;

/// How many are on their way at a time; each is a megabyte at most. Fewer than a server reads before it has done the first, so that it still hears
/// whether the agent is there.
const MAX_EARLY: usize = 16;

/// Writes that the kernel takes for done, and the server has not answered.
#[derive(Debug, Default)]
pub(super) struct Writes {
    files: HashMap<u64, File>,
    /// By the numbers of their requests: their files, and how many bytes they write.
    early: HashMap<u64, (u64, u32)>,
}

#[derive(Debug, Default)]
struct File {
    under_way: usize,
    /// What the kernel is yet to be told.
    error: Option<Errno>,
    /// Requests of those who close the file.
    flushes: Vec<u64>,
}

/// What becomes of a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The server does it, and answers.
    Ask,
    /// The server does it; the kernel has this answer already.
    Early(Vec<u8>),
    /// An earlier one failed, which the kernel is told now.
    Refused(Vec<u8>),
}

impl Writes {
    pub(super) fn write(&mut self, header: &InHeader, request: &[u8]) -> Taken {
        let error = self.files.get_mut(&header.nodeid).and_then(|file| file.error.take());
        if let Some(error) = error {
            return Taken::Refused(message::reply(header.unique, Err(error)));
        }
        match long(request) {
            Some(size) if self.early.len() < MAX_EARLY => {
                self.early.insert(header.unique, (header.nodeid, size));
                self.files.entry(header.nodeid).or_default().under_way += 1;
                let written = WriteOut { size, padding: 0 };
                Taken::Early(message::reply(header.unique, Ok(Answer::of(&written))))
            }
            _ => Taken::Ask,
        }
    }

    /// A file is closed: the answer, unless that has to wait.
    pub(super) fn flush(&mut self, header: &InHeader) -> Option<Vec<u8>> {
        match self.files.get_mut(&header.nodeid) {
            Some(file) if file.under_way > 0 => {
                file.flushes.push(header.unique);
                None
            }
            settled => {
                let outcome = settled.and_then(|file| file.error.take()).map_or(Ok(Answer::empty()), Err);
                self.files.remove(&header.nodeid);
                Some(message::reply(header.unique, outcome))
            }
        }
    }

    /// The server's answer to a request: what the kernel is told. Nothing, where it had its answer to a write before; or what others waited for.
    pub(super) fn answered(&mut self, request: &[u8], answer: &[u8]) -> Option<Vec<Vec<u8>>> {
        let header = message::header(request)?;
        match header.opcode {
            opcode::WRITE => {
                let (node, size) = self.early.remove(&header.unique)?;
                let file = self.files.get_mut(&node)?;
                file.under_way -= 1;
                if let Err(error) = written(answer, size) {
                    file.error.get_or_insert(error);
                }
                if file.under_way > 0 {
                    return Some(Vec::new());
                }
                let error = file.error.take_if(|_| !file.flushes.is_empty());
                let told = |unique| message::reply(unique, error.map_or(Ok(Answer::empty()), Err));
                let answers = std::mem::take(&mut file.flushes).into_iter().map(told).collect();
                if file.error.is_none() {
                    self.files.remove(&node);
                }
                Some(answers)
            }
            // All that was written before has been answered.
            opcode::FSYNC => {
                let error = self.files.get_mut(&header.nodeid).and_then(|file| file.error.take())?;
                Some(vec![message::reply(header.unique, Err(error))])
            }
            _ => None,
        }
    }
}

/// How long a write is that nobody has to wait for: one of a program that does not want it on the disk at once, by way of the kernel's memory.
fn long(request: &[u8]) -> Option<u32> {
    let (arguments, _) = WriteIn::read_from_prefix(request.get(HEADER..)?).ok()?;
    let flags = OFlags::from_bits_retain(arguments.flags);
    let waits = flags.intersects(OFlags::SYNC | OFlags::DSYNC | OFlags::DIRECT | OFlags::APPEND);
    (arguments.size >= LONG && !waits && arguments.write_flags & WRITE_CACHE == 0).then_some(arguments.size)
}

/// Whether all was written. Less is, as pwrite(2) has it, where the disk or a quota is full.
fn written(answer: &[u8], size: u32) -> Result<(), Errno> {
    let (header, _) = OutHeader::read_from_prefix(answer).map_err(|_| Errno::IO)?;
    if header.error != 0 {
        return Err(Errno::from_raw_os_error(header.error.saturating_neg()));
    }
    let (written, _) = WriteOut::read_from_prefix(&answer[OUT_HEADER..]).map_err(|_| Errno::IO)?;
    if written.size < size { Err(Errno::NOSPC) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    const NODE: u64 = 7;

    fn request(opcode: u32, unique: u64, body: &[u8]) -> (InHeader, Vec<u8>) {
        let len = u32::try_from(HEADER + body.len()).expect("short");
        let header = InHeader { len, opcode, unique, nodeid: NODE, ..InHeader::default() };
        (header, [header.as_bytes(), body].concat())
    }

    fn write(unique: u64, size: u32, flags: OFlags) -> (InHeader, Vec<u8>) {
        request(opcode::WRITE, unique, WriteIn { size, flags: flags.bits(), ..WriteIn::default() }.as_bytes())
    }

    fn done(unique: u64, size: u32) -> Vec<u8> {
        message::reply(unique, Ok(Answer::of(&WriteOut { size, padding: 0 })))
    }

    fn begun(writes: &mut Writes, unique: u64) -> Vec<u8> {
        let (header, request) = write(unique, LONG, OFlags::WRONLY);
        assert_eq!(writes.write(&header, &request), Taken::Early(done(unique, LONG)));
        request
    }

    fn closed(unique: u64) -> Vec<u8> {
        message::reply(unique, Ok(Answer::empty()))
    }

    #[test]
    fn who_closes_a_file_waits_for_what_was_written() {
        let mut writes = Writes::default();
        let requests = [begun(&mut writes, 2), begun(&mut writes, 4)];
        let (flush, _) = request(opcode::FLUSH, 6, &[]);
        assert_eq!(writes.flush(&flush), None);
        assert_eq!(writes.answered(&requests[0], &done(2, LONG)), Some(Vec::new()));
        assert_eq!(writes.answered(&requests[1], &done(4, LONG)), Some(vec![closed(6)]));
        assert_eq!(writes.flush(&flush), Some(closed(6)));
        assert!(writes.files.is_empty() && writes.early.is_empty());
    }

    #[test]
    fn an_error_is_told_once_by_whatever_comes_next() {
        let fails = |unique| message::reply(unique, Err(Errno::DQUOT));
        // A write that is cut short is one.
        for (answer, error) in [(fails(2), Errno::DQUOT), (done(2, LONG - 1), Errno::NOSPC)] {
            let refused = |unique| message::reply(unique, Err(error));
            let failed = || {
                let mut writes = Writes::default();
                let early = begun(&mut writes, 2);
                assert_eq!(writes.answered(&early, &answer), Some(Vec::new()));
                writes
            };
            let mut writes = failed();
            let (header, next) = write(4, 1, OFlags::WRONLY);
            assert_eq!(writes.write(&header, &next), Taken::Refused(refused(4)));
            assert_eq!(writes.write(&header, &next), Taken::Ask);
            let (flush, _) = request(opcode::FLUSH, 6, &[]);
            let mut writes = failed();
            assert_eq!((writes.flush(&flush), writes.flush(&flush)), (Some(refused(6)), Some(closed(6))));
            let (_, sync) = request(opcode::FSYNC, 8, &[]);
            let mut writes = failed();
            assert_eq!(writes.answered(&sync, &closed(8)), Some(vec![refused(8)]));
            assert_eq!(writes.answered(&sync, &closed(8)), None);
        }
    }

    #[test]
    fn what_is_short_or_wanted_on_the_disk_waits() {
        let mut writes = Writes::default();
        for (size, flags) in
            [(LONG - 1, OFlags::WRONLY), (LONG, OFlags::DSYNC), (LONG, OFlags::DIRECT), (LONG, OFlags::APPEND)]
        {
            let (header, request) = write(2, size, flags);
            assert_eq!(writes.write(&header, &request), Taken::Ask, "{size} {flags:?}");
            assert_eq!(writes.answered(&request, &done(2, size)), None, "the kernel is told");
        }
        for unique in 0..MAX_EARLY as u64 {
            begun(&mut writes, 100 + 2 * unique);
        }
        let (header, request) = write(4, LONG, OFlags::WRONLY);
        assert_eq!(writes.write(&header, &request), Taken::Ask);
    }
}
