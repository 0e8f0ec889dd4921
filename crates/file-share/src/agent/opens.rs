//! Files and folders that are opened again, only to be read: the kernel has its answer at once, without the way to the server and back.
//!
//! What is read then is in the kernel's memory as a rule, and the server never hears of it: so `tar`, `git status` or a second epoch over a folder
//! of small files takes no messages at all. The server is asked to open the file when it is needed: when something is to be read that the kernel does
//! not have, and before any change that could take the file away from who has it open. The server answers such messages in their order.
//!
//! The server says of which files that may be (`OPEN_AGAIN`): those of whose changes it tells. A notice about a file ends it.
//!
//! With a file that it opens so, the server tells its attributes. The kernel takes them for out of date once it has read something (the time of access
//! may be another), and asks when the program looks whether the file has changed meanwhile, as `tar` does: that is answered here.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use rustix::{fs::OFlags, io::Errno};
use tokio::time::Instant;
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::message::{
    self, Answer, AttrOut, CACHE_DIR, HEADER, InHeader, KEEP_CACHE, NO_FLUSH, OPEN_AGAIN, OUT_HEADER, OpenIn, OpenOut,
    SetAttrIn, fattr, opcode,
};

/// How many files are kept in mind, at some 16 bytes each. Beyond, one begins anew.
const MAX_KNOWN: usize = 1 << 18;

/// How many files may be open without the server's knowledge. It may have to open all of them at once.
const MAX_EARLY: usize = 256;

/// For how long the server's word of a file's attributes is passed on, without a notice that they have changed.
const TOLD_FOR: Duration = Duration::from_secs(1);

/// Of how many files it is kept, at some 150 bytes each. Beyond, one begins anew.
const MAX_TOLD: usize = 1024;

/// The first number of a file that only the kernel has open. The server's own begin with a zero bit.
const FIRST: u64 = 1 << 63;

/// What the kernel has open, and may open by itself.
#[derive(Debug)]
pub(super) struct Opens {
    /// Files that may be opened without asking.
    known: HashSet<u64>,
    /// What is open so, by the numbers that the kernel has.
    early: HashMap<u64, Early>,
    /// The requests to open one of them, by their own numbers.
    asked: HashMap<u64, u64>,
    next: u64,
    /// What files were when the server opened them, and when that was: as long as the kernel has changed nothing since.
    told: HashMap<u64, (AttrOut, Instant)>,
    /// Requests to open a file, each with how many changes there were before.
    opening: HashMap<u64, u64>,
    changes: u64,
}

/// A file that was opened without asking.
#[derive(Debug)]
struct Early {
    node: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody was asked. This is the kernel's request.
    Untold(Bytes),
    /// It was sent; these wait for its answer.
    Asked(Vec<Bytes>),
    /// The server has it open under a number of its own.
    Open(u64),
    /// The server would not.
    Refused(Errno),
}

/// What becomes of a request of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is for the server.
    Ask(Bytes),
    /// It is answered.
    Answer(Vec<u8>),
    /// It waits until the server has opened the file.
    Wait,
}

impl Opens {
    pub(super) fn new() -> Self {
        Self {
            known: HashSet::new(),
            early: HashMap::new(),
            asked: HashMap::new(),
            next: FIRST,
            told: HashMap::new(),
            opening: HashMap::new(),
            changes: 0,
        }
    }

    /// The kernel is about to change something: of what files were before, nothing is said from now on.
    pub(super) fn changes(&mut self) {
        self.changes += 1;
        self.told.clear();
    }

    /// A request of the kernel; in `first` are those that the server must get before.
    pub(super) fn take(&mut self, header: &InHeader, request: Bytes, first: &mut Vec<Bytes>) -> Taken {
        if may_change(header.opcode) || header.opcode == opcode::OPEN && !only_reads(&request) {
            self.changes();
        }
        match header.opcode {
            opcode::GETATTR => {
                return match self.told.get(&header.nodeid) {
                    Some((attributes, since)) if since.elapsed() < TOLD_FOR => {
                        Taken::Answer(message::reply(header.unique, Ok(Answer::of(attributes))))
                    }
                    _ => Taken::Ask(request),
                };
            }
            opcode::OPEN => return self.open(header, request, KEEP_CACHE | NO_FLUSH),
            opcode::OPENDIR => return self.open(header, request, KEEP_CACHE | CACHE_DIR),
            // They may take a file away from who has it open: its last name, or the right to read it.
            opcode::UNLINK | opcode::RENAME | opcode::RENAME2 => self.tell(|_| true, first),
            opcode::SETATTR => {
                self.known.remove(&header.nodeid);
                self.tell(|node| node == header.nodeid, first);
            }
            _ => {}
        }
        let Some((at, number)) = handle_in(header, &request) else { return Taken::Ask(request) };
        let Some(early) = self.early.get_mut(&number) else { return Taken::Ask(request) };
        let is_release = matches!(header.opcode, opcode::RELEASE | opcode::RELEASEDIR);
        match &mut early.state {
            State::Untold(_) | State::Refused(_) if is_release => {
                self.early.remove(&number);
                Taken::Answer(message::reply(header.unique, Ok(Answer::empty())))
            }
            State::Refused(error) => Taken::Answer(message::reply(header.unique, Err(*error))),
            State::Untold(open) => {
                first.push(open.clone());
                self.asked.extend(message::header(open).map(|header| (header.unique, number)));
                early.state = State::Asked(vec![request]);
                Taken::Wait
            }
            State::Asked(waiting) => {
                waiting.push(request);
                Taken::Wait
            }
            State::Open(fh) => {
                let request = with_handle(&request, at, *fh);
                if is_release {
                    self.early.remove(&number);
                }
                Taken::Ask(request)
            }
        }
    }

    fn open(&mut self, header: &InHeader, request: Bytes, open_flags: u32) -> Taken {
        if !only_reads(&request) {
            return Taken::Ask(request);
        }
        if !self.known.contains(&header.nodeid) || self.early.len() >= MAX_EARLY {
            self.opening.insert(header.unique, self.changes);
            return Taken::Ask(request);
        }
        let number = self.next;
        self.next += 1;
        self.early.insert(number, Early { node: header.nodeid, state: State::Untold(request) });
        let opened = OpenOut { fh: number, open_flags, padding: 0 };
        Taken::Answer(message::reply(header.unique, Ok(Answer::of(&opened))))
    }

    /// Has the server open what is open without its knowledge.
    fn tell(&mut self, which: impl Fn(u64) -> bool, first: &mut Vec<Bytes>) {
        for (number, early) in &mut self.early {
            if let State::Untold(open) = &early.state
                && which(early.node)
            {
                first.push(open.clone());
                self.asked.extend(message::header(open).map(|header| (header.unique, *number)));
                early.state = State::Asked(Vec::new());
            }
        }
    }

    /// The server's answer to a request. `None` where the kernel had one before: what waited for it goes on, as `next`.
    pub(super) fn answered<'a>(
        &mut self,
        request: &[u8],
        answer: &'a [u8],
        next: &mut Vec<Taken>,
    ) -> Option<Cow<'a, [u8]>> {
        let is_open = |header: &InHeader| matches!(header.opcode, opcode::OPEN | opcode::OPENDIR);
        let Some(header) = message::header(request).filter(is_open) else { return Some(answer.into()) };
        let outcome = opened(answer);
        let Some(number) = self.asked.remove(&header.unique) else { return Some(self.learn(&header, answer, outcome)) };
        let early = self.early.get_mut(&number)?;
        let state = match outcome {
            Ok(opened) => State::Open(opened.fh),
            Err(error) => State::Refused(error),
        };
        if let State::Asked(waiting) = std::mem::replace(&mut early.state, state) {
            let goes_on = |request: Bytes| {
                let header = message::header(&request)?;
                // What the server must get before was sent long ago.
                Some(self.take(&header, request, &mut Vec::new()))
            };
            next.extend(waiting.into_iter().filter_map(goes_on));
        }
        None
    }

    /// What the kernel is told of a file that the server opened for it.
    fn learn<'a>(&mut self, header: &InHeader, answer: &'a [u8], outcome: Result<OpenOut, Errno>) -> Cow<'a, [u8]> {
        let is_as_before = self.opening.remove(&header.unique) == Some(self.changes);
        let Ok(opened) = outcome else { return answer.into() };
        let attributes = answer.get(OUT_HEADER + size_of::<OpenOut>()..).map(AttrOut::read_from_bytes);
        if let Some(Ok(attributes)) = attributes.filter(|_| is_as_before) {
            if self.told.len() >= MAX_TOLD {
                self.told.clear();
            }
            self.told.insert(header.nodeid, (attributes, Instant::now()));
        }
        if opened.open_flags & OPEN_AGAIN == 0 {
            self.known.remove(&header.nodeid);
        } else {
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert(header.nodeid);
        }
        let told = OpenOut { open_flags: opened.open_flags & !OPEN_AGAIN, ..opened };
        message::reply(header.unique, Ok(Answer::of(&told))).into()
    }

    /// A file is no longer what it was.
    pub(super) fn changed(&mut self, node: u64) {
        self.known.remove(&node);
        self.told.remove(&node);
    }

    /// Another connection: perhaps to a server that knows nothing of what an earlier one said.
    pub(super) fn reconnected(&mut self) {
        self.known.clear();
        self.changes();
    }
}

/// Whether a request may change what files are. That to open one is another matter; WRITE does not come here.
fn may_change(operation: u32) -> bool {
    !matches!(
        operation,
        opcode::OPEN
            | opcode::READ
            | opcode::RELEASE
            | opcode::GETATTR
            | opcode::LOOKUP
            | opcode::OPENDIR
            | opcode::READDIR
            | opcode::READDIRPLUS
            | opcode::RELEASEDIR
            | opcode::READLINK
            | opcode::ACCESS
            | opcode::STATFS
            | opcode::LSEEK
    )
}

/// What an OPEN was answered.
fn opened(answer: &[u8]) -> Result<OpenOut, Errno> {
    let (header, body) = message::OutHeader::read_from_prefix(answer).map_err(|_| Errno::IO)?;
    if header.error != 0 {
        return Err(Errno::from_raw_os_error(header.error.saturating_neg()));
    }
    OpenOut::read_from_prefix(body).map(|(opened, _)| opened).map_err(|_| Errno::IO)
}

/// Whether an OPEN does nothing but open a file to be read by way of the kernel's memory.
fn only_reads(request: &[u8]) -> bool {
    let Some((arguments, _)) = request.get(HEADER..).and_then(|body| OpenIn::read_from_prefix(body).ok()) else {
        return false;
    };
    let flags = OFlags::from_bits_retain(arguments.flags);
    flags & OFlags::RWMODE == OFlags::RDONLY && !flags.intersects(OFlags::TRUNC | OFlags::DIRECT)
}

/// The open file that a request is about, and where in the request its number is.
fn handle_in(header: &InHeader, request: &[u8]) -> Option<(usize, u64)> {
    let at = match header.opcode {
        opcode::READ | opcode::RELEASE | opcode::FSYNC | opcode::LSEEK | opcode::COPY_FILE_RANGE => HEADER,
        opcode::READDIR | opcode::READDIRPLUS | opcode::RELEASEDIR | opcode::FSYNCDIR => HEADER,
        opcode::SETATTR => {
            let (arguments, _) = SetAttrIn::read_from_prefix(request.get(HEADER..)?).ok()?;
            (arguments.valid & fattr::FH != 0).then_some(HEADER + 8)?
        }
        _ => return None,
    };
    let (number, _) = u64::read_from_prefix(request.get(at..)?).ok()?;
    Some((at, number))
}

fn with_handle(request: &[u8], at: usize, handle: u64) -> Bytes {
    let mut request = request.to_vec();
    if let Some(number) = request.get_mut(at..at + 8) {
        number.copy_from_slice(handle.as_bytes());
    }
    Bytes::from(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{OutHeader, ReadIn, ReleaseIn};

    const NODE: u64 = 7;

    /// A request about the file, and its header.
    fn request(opcode: u32, unique: u64, body: &[u8]) -> (InHeader, Bytes) {
        let len = u32::try_from(HEADER + body.len()).expect("short");
        let header = InHeader { len, opcode, unique, nodeid: NODE, ..InHeader::default() };
        (header, Bytes::from([header.as_bytes(), body].concat()))
    }

    fn open(unique: u64, flags: OFlags) -> (InHeader, Bytes) {
        request(opcode::OPEN, unique, OpenIn { flags: flags.bits(), open_flags: 0 }.as_bytes())
    }

    fn read(unique: u64, fh: u64) -> (InHeader, Bytes) {
        request(opcode::READ, unique, ReadIn { fh, size: 10, ..ReadIn::default() }.as_bytes())
    }

    fn release(unique: u64, fh: u64) -> (InHeader, Bytes) {
        request(opcode::RELEASE, unique, ReleaseIn { fh, ..ReleaseIn::default() }.as_bytes())
    }

    /// What the kernel asks, of which nothing else has to go first.
    fn take(opens: &mut Opens, (header, request): &(InHeader, Bytes)) -> Taken {
        let mut first = Vec::new();
        let taken = opens.take(header, request.clone(), &mut first);
        assert_eq!(first, Vec::<Bytes>::new());
        taken
    }

    /// With the file opened by the server once, as 70.
    fn opens() -> Opens {
        let mut opens = Opens::new();
        let first = open(2, OFlags::RDONLY);
        assert_eq!(take(&mut opens, &first), Taken::Ask(first.1.clone()));
        let told = server_opened(&mut opens, &first.1, 70, &mut Vec::new()).expect("the kernel waits");
        let (_, told) = OutHeader::read_from_prefix(&told[..]).expect("a header");
        let told = OpenOut::read_from_bytes(told).expect("whole");
        assert_eq!((told.fh, told.open_flags), (70, KEEP_CACHE));
        opens
    }

    fn server_opened(opens: &mut Opens, request: &[u8], fh: u64, next: &mut Vec<Taken>) -> Option<Vec<u8>> {
        let opened = OpenOut { fh, open_flags: KEEP_CACHE | OPEN_AGAIN, padding: 0 };
        let unique = message::header(request).expect("a header").unique;
        let answer = message::reply(unique, Ok(Answer::of(&opened)));
        opens.answered(request, &answer, next).map(Cow::into_owned)
    }

    /// Opened without asking: the number that the kernel has.
    fn opened_early(opens: &mut Opens, request: &(InHeader, Bytes)) -> u64 {
        let Taken::Answer(answer) = take(opens, request) else { panic!("the server is asked") };
        opened(&answer).expect("opened").fh
    }

    fn done(unique: u64) -> Taken {
        Taken::Answer(message::reply(unique, Ok(Answer::empty())))
    }

    #[test]
    fn a_file_of_which_all_is_known_is_opened_and_closed_without_asking() {
        let mut opens = opens();
        for unique in [4, 8] {
            let number = opened_early(&mut opens, &open(unique, OFlags::RDONLY | OFlags::NOATIME));
            assert_eq!(take(&mut opens, &release(unique + 2, number)), done(unique + 2));
        }
        assert!(opens.early.is_empty());
        // What the server opened, it closes.
        let closed = release(12, 70);
        assert_eq!(take(&mut opens, &closed), Taken::Ask(closed.1.clone()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_file_was_when_it_was_opened_is_told_until_it_may_be_something_else() {
        let stat = |unique| request(opcode::GETATTR, unique, &[0; 16]);
        let attributes = AttrOut { attr_valid: 60, ..AttrOut::default() };
        let opened = OpenOut { fh: 70, open_flags: KEEP_CACHE | OPEN_AGAIN, padding: 0 };
        let answer = |unique| message::reply(unique, Ok(Answer::of(&opened).and(attributes.as_bytes())));
        let told = |unique| Taken::Answer(message::reply(unique, Ok(Answer::of(&attributes))));
        let asked = |unique| Taken::Ask(stat(unique).1);
        let learn = |opens: &mut Opens| {
            opens.changed(NODE);
            let first = open(2, OFlags::RDONLY);
            assert_eq!(take(opens, &first), Taken::Ask(first.1.clone()));
            let answer = answer(2);
            let kernel = opens.answered(&first.1, &answer, &mut Vec::new()).expect("the kernel waits");
            assert_eq!(kernel.len(), OUT_HEADER + size_of::<OpenOut>(), "attributes are not for the kernel");
        };
        let mut opens = Opens::new();
        assert_eq!(take(&mut opens, &stat(4)), asked(4));
        learn(&mut opens);
        take(&mut opens, &read(6, 70));
        assert_eq!(take(&mut opens, &stat(8)), told(8));
        // Until it is told of a change, changes something itself, writes, has another server, or some time has passed.
        opens.changed(NODE);
        assert_eq!(take(&mut opens, &stat(8)), asked(8));
        for opcode in
            [opcode::SETATTR, opcode::UNLINK, opcode::RENAME2, opcode::LINK, opcode::FALLOCATE, opcode::CREATE]
        {
            learn(&mut opens);
            take(&mut opens, &request(opcode, 6, SetAttrIn::default().as_bytes()));
            assert_eq!(take(&mut opens, &stat(8)), asked(8), "{opcode}");
        }
        learn(&mut opens);
        take(&mut opens, &open(6, OFlags::WRONLY | OFlags::TRUNC));
        assert_eq!(take(&mut opens, &stat(8)), asked(8));
        learn(&mut opens);
        opens.changes();
        assert_eq!(take(&mut opens, &stat(8)), asked(8));
        learn(&mut opens);
        opens.reconnected();
        assert_eq!(take(&mut opens, &stat(8)), asked(8));
        learn(&mut opens);
        tokio::time::advance(TOLD_FOR).await;
        assert_eq!(take(&mut opens, &stat(8)), asked(8));
        // What was changed while the server opened the file was perhaps not changed yet when it looked.
        opens.changed(NODE);
        let first = open(10, OFlags::RDONLY);
        assert_eq!(take(&mut opens, &first), Taken::Ask(first.1.clone()));
        opens.changes();
        opens.answered(&first.1, &answer(10), &mut Vec::new()).expect("the kernel waits");
        assert_eq!(take(&mut opens, &stat(12)), asked(12));
        assert!(opens.opening.is_empty());
    }

    #[test]
    fn the_server_is_asked_where_it_has_to_be() {
        let mut opens = opens();
        for flags in [OFlags::RDWR, OFlags::WRONLY, OFlags::TRUNC, OFlags::DIRECT] {
            let asked = open(4, flags);
            assert_eq!(take(&mut opens, &asked), Taken::Ask(asked.1.clone()), "{flags:?}");
        }
        let again = open(6, OFlags::RDONLY);
        opens.changed(NODE);
        assert_eq!(take(&mut opens, &again), Taken::Ask(again.1.clone()));
        server_opened(&mut opens, &again.1, 71, &mut Vec::new()).expect("the kernel waits");
        opens.reconnected();
        assert_eq!(take(&mut opens, &again), Taken::Ask(again.1.clone()));
        // A server that does not say that it may be opened again.
        let opened = OpenOut { fh: 72, open_flags: KEEP_CACHE, padding: 0 };
        let answer = message::reply(6, Ok(Answer::of(&opened)));
        assert_eq!(opens.answered(&again.1, &answer, &mut Vec::new()), Some(Cow::from(answer.clone())));
        assert_eq!(take(&mut opens, &again), Taken::Ask(again.1.clone()));
    }

    #[test]
    fn reads_wait_until_the_server_has_opened_the_file() {
        let mut opens = opens();
        let early = open(4, OFlags::RDONLY);
        let number = opened_early(&mut opens, &early);
        let mut first = Vec::new();
        let (header, request) = read(6, number);
        assert_eq!(opens.take(&header, request, &mut first), Taken::Wait);
        assert_eq!(first, std::slice::from_ref(&early.1));
        assert_eq!(take(&mut opens, &read(8, number)), Taken::Wait);
        assert_eq!(take(&mut opens, &release(10, number)), Taken::Wait);
        let mut next = Vec::new();
        assert_eq!(server_opened(&mut opens, &early.1, 71, &mut next), None, "the kernel had its answer");
        let with = |(_, request): (InHeader, Bytes)| Taken::Ask(request);
        assert_eq!(next, [with(read(6, 71)), with(read(8, 71)), with(release(10, 71))]);
        assert!(opens.early.is_empty() && opens.asked.is_empty());
    }

    #[test]
    fn a_folder_is_opened_as_a_file_is() {
        let mut opens = Opens::new();
        let open = |unique| request(opcode::OPENDIR, unique, OpenIn::default().as_bytes());
        let list = |unique, fh| request(opcode::READDIRPLUS, unique, ReadIn { fh, ..ReadIn::default() }.as_bytes());
        let close =
            |unique, fh| request(opcode::RELEASEDIR, unique, ReleaseIn { fh, ..ReleaseIn::default() }.as_bytes());
        let first = open(2);
        assert_eq!(take(&mut opens, &first), Taken::Ask(first.1.clone()));
        server_opened(&mut opens, &first.1, 70, &mut Vec::new()).expect("the kernel waits");
        // What the kernel has of it is read without asking.
        let Taken::Answer(answer) = take(&mut opens, &open(4)) else { panic!("the server is asked") };
        let told = opened(&answer).expect("opened");
        assert_eq!(told.open_flags, KEEP_CACHE | CACHE_DIR);
        assert_eq!(take(&mut opens, &close(6, told.fh)), done(6));
        // And where it has not got it all.
        let early = open(8);
        let number = opened_early(&mut opens, &early);
        let (header, request) = list(10, number);
        let mut sent = Vec::new();
        assert_eq!((opens.take(&header, request, &mut sent), &sent[..]), (Taken::Wait, &[early.1.clone()][..]));
        let mut next = Vec::new();
        assert_eq!(server_opened(&mut opens, &early.1, 71, &mut next), None);
        assert_eq!(next, [Taken::Ask(list(10, 71).1)]);
        assert_eq!(take(&mut opens, &close(12, number)), Taken::Ask(close(12, 71).1));
        assert!(opens.early.is_empty() && opens.asked.is_empty());
    }

    #[test]
    fn what_the_server_does_not_open_can_not_be_read() {
        let mut opens = opens();
        let early = open(4, OFlags::RDONLY);
        let number = opened_early(&mut opens, &early);
        let (header, request) = read(6, number);
        assert_eq!(opens.take(&header, request, &mut Vec::new()), Taken::Wait);
        let mut next = Vec::new();
        let refusal = message::reply(4, Err(Errno::STALE));
        assert_eq!(opens.answered(&early.1, &refusal, &mut next), None);
        let refused = |unique| Taken::Answer(message::reply(unique, Err(Errno::STALE)));
        assert_eq!(next, [refused(6)]);
        assert_eq!(take(&mut opens, &read(8, number)), refused(8));
        assert_eq!(take(&mut opens, &release(10, number)), done(10));
        assert!(opens.early.is_empty() && opens.asked.is_empty());
    }

    #[test]
    fn the_server_opens_a_file_before_it_may_be_taken_away() {
        for opcode in [opcode::UNLINK, opcode::RENAME2, opcode::SETATTR] {
            let mut opens = opens();
            let early = open(4, OFlags::RDONLY);
            let number = opened_early(&mut opens, &early);
            let (header, change) = request(opcode, 6, SetAttrIn::default().as_bytes());
            let mut first = Vec::new();
            assert_eq!(opens.take(&header, change.clone(), &mut first), Taken::Ask(change));
            assert_eq!(first, std::slice::from_ref(&early.1));
            assert_eq!(server_opened(&mut opens, &early.1, 71, &mut Vec::new()), None);
            let (_, expected) = read(8, 71);
            assert_eq!(take(&mut opens, &read(8, number)), Taken::Ask(expected));
        }
    }

    #[test]
    fn as_many_are_open_without_asking_as_can_be_opened_at_once() {
        let mut opens = opens();
        for unique in 0..MAX_EARLY as u64 {
            opened_early(&mut opens, &open(100 + 2 * unique, OFlags::RDONLY));
        }
        let asked = open(4, OFlags::RDONLY);
        assert_eq!(take(&mut opens, &asked), Taken::Ask(asked.1.clone()));
    }
}
