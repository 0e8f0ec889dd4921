//! Messages of one folder, between the kernel and the connection of the day.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use rustix::{io::Errno, pipe::fcntl_setpipe_size};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::{UnixStream, unix::pipe},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{
    handover::Handover,
    mount::{Mounted, ReadAhead},
    notifier::{Asked, Notifier},
    opens::{self, Opens},
    writes::{self, Writes},
};
use crate::{
    Hello, MAX_MESSAGE, PING, PONG,
    message::{self, HEADER, InHeader, OUT_HEADER, OutHeader, notify, opcode},
    replies::MAX_WAITING,
};

/// How often the other side is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(10);

/// Without an answer for so long, a connection is broken.
const SILENCE: Duration = Duration::from_secs(35);

/// How long the kernel's next request is looked out for, where the last one was answered here: a program that opens file after file, all of them
/// known here, asks again sooner than this process could sleep and be woken.
const LOOKS_FOR: Duration = Duration::from_micros(50);

/// What is taken from the kernel before it is sent, at most.
const MAX_QUEUED: usize = 4 << 20;

/// The most that a pipe holds for a process without privileges.
const PIPE: usize = 1 << 20;

/// Why a folder is served no more.
#[derive(Debug)]
pub(super) enum End {
    /// There was no connection for too long.
    GaveUp,
    /// The kernel has no such mount any more.
    Unmounted,
}

struct Connection {
    input: pipe::Receiver,
    output: pipe::Sender,
    relay: UnixStream,
    heard: Instant,
    /// What has come of a message.
    partial: Vec<u8>,
    queue: VecDeque<Bytes>,
    queued: usize,
}

/// Passes the messages of one folder.
pub(super) struct Pump {
    device: AsyncFd<OwnedFd>,
    handovers: mpsc::Receiver<Handover>,
    give_up_after: Duration,
    session: [u8; 16],
    connection: Option<Connection>,
    alone_since: Instant,
    /// Requests without an answer yet, in their order: they are sent again on the next connection.
    waiting: BTreeMap<u64, Bytes>,
    /// Where in that order a request is.
    places: HashMap<u64, u64>,
    next: u64,
    asked: Asked,
    opens: Opens,
    writes: Writes,
    notifier: Notifier,
    read_ahead: Option<ReadAhead>,
    buffer: Vec<u8>,
}

/// What happened.
enum Event {
    Kernel,
    Input,
    Output,
    RelayEnded,
    Handover(Option<Handover>),
    Notice,
    Tick,
}

impl Pump {
    #[expect(
        deprecated,
        reason = "the successor is unsafe code; an OwnedFd, which is never taken out, is what it asks for"
    )]
    pub(super) fn new(
        share: Mounted,
        handovers: mpsc::Receiver<Handover>,
        give_up_after: Duration,
    ) -> io::Result<Self> {
        let mut session = [0; 16];
        rustix::rand::getrandom(&mut session, rustix::rand::GetRandomFlags::empty())?;
        let notifier = Notifier::start(share.device.try_clone()?)?;
        Ok(Self {
            device: AsyncFd::new(share.device)?,
            handovers,
            give_up_after,
            session,
            connection: None,
            alone_since: Instant::now(),
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            next: 0,
            asked: Asked::default(),
            opens: Opens::new(),
            writes: Writes::default(),
            notifier,
            read_ahead: share.read_ahead,
            buffer: vec![0; MAX_MESSAGE],
        })
    }

    pub(super) async fn run(mut self) -> End {
        let mut ticks = interval(PING_EVERY.min(self.give_up_after / 2).max(Duration::from_millis(100)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = self.event(&mut ticks).await;
            let outcome = match event {
                Event::Kernel => match self.take_requests() {
                    Ok(()) => Ok(()),
                    // fuse(4): the file system was unmounted, or aborted.
                    Err(Errno::NODEV) => return End::Unmounted,
                    Err(error) => {
                        tracing::error!("cannot read from the kernel: {error}");
                        return End::Unmounted;
                    }
                },
                Event::Input => self.take_answers(),
                Event::Output => self.send(),
                Event::RelayEnded => Err(io::Error::other("its relay ended")),
                Event::Handover(Some(handover)) => self.connect(handover),
                Event::Handover(None) => return End::GaveUp,
                Event::Notice => Ok(()),
                Event::Tick => match &self.connection {
                    Some(connection) if connection.heard.elapsed() > SILENCE => Err(io::Error::other("nothing comes")),
                    Some(_) => {
                        self.queue(ping());
                        Ok(())
                    }
                    None if self.alone_since.elapsed() >= self.give_up_after => return End::GaveUp,
                    None => Ok(()),
                },
            };
            if let Err(error) = outcome {
                tracing::info!("the connection ended: {error}");
                self.connection = None;
                self.alone_since = Instant::now();
            }
            // Without a connection nothing is answered that a notice may have to wait for.
            if self.connection.is_some() {
                self.notifier.pass(&self.asked);
            }
        }
    }

    async fn event(&mut self, ticks: &mut tokio::time::Interval) -> Event {
        let queued = self.connection.as_ref().map_or(0, |connection| connection.queued);
        let has_room = self.waiting.len() < MAX_WAITING && queued < MAX_QUEUED;
        let kernel = async {
            if has_room {
                // What it returns is asked for again where it is read.
                drop(self.device.readable().await);
            } else {
                std::future::pending::<()>().await;
            }
        };
        let connected = async {
            let Some(connection) = &self.connection else { return std::future::pending().await };
            let output = async {
                if connection.queue.is_empty() {
                    std::future::pending::<()>().await;
                }
                drop(connection.output.writable().await);
            };
            // It says nothing more until it ends.
            let ended = async {
                while connection.relay.readable().await.is_ok() {
                    match connection.relay.try_read(&mut [0]) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        _ => break,
                    }
                }
            };
            tokio::select! {
                _ = connection.input.readable() => Event::Input,
                () = output => Event::Output,
                () = ended => Event::RelayEnded,
            }
        };
        let notice = async {
            match self.notifier.due() {
                Some(due) if self.connection.is_some() => tokio::time::sleep_until(due).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            handover = self.handovers.recv() => Event::Handover(handover),
            event = connected => event,
            () = kernel => Event::Kernel,
            () = notice => Event::Notice,
            _ = ticks.tick() => Event::Tick,
        }
    }

    /// Takes what the kernel asks.
    fn take_requests(&mut self) -> Result<(), Errno> {
        let mut answered = None;
        for _ in 0..16 {
            // Who waits for the server's answers is not to wait for this.
            let looks_until =
                answered.filter(|_| self.waiting.is_empty()).map(|answered: Instant| answered + LOOKS_FOR);
            let buffer = &mut self.buffer;
            let read = self.device.try_io(Interest::READABLE, |device| {
                loop {
                    match rustix::io::read(device, &mut *buffer) {
                        Err(Errno::AGAIN) if looks_until.is_some_and(|until| Instant::now() < until) => {
                            std::hint::spin_loop()
                        }
                        read => return Ok(read?),
                    }
                }
            });
            let length = match read {
                Ok(length) => length,
                Err(error) => match Errno::from_io_error(&error) {
                    // Nothing more, or a request that was given up meanwhile.
                    None | Some(Errno::AGAIN) => return Ok(()),
                    Some(Errno::INTR | Errno::NOENT) => continue,
                    Some(error) => return Err(error),
                },
            };
            let request = Bytes::copy_from_slice(&self.buffer[..length]);
            let Some(header) = message::header(&request) else { continue };
            self.take_request(&header, request);
            answered = Some(Instant::now());
            if self.waiting.len() >= MAX_WAITING {
                break;
            }
        }
        Ok(())
    }

    fn take_request(&mut self, header: &InHeader, request: Bytes) {
        const IOCTL: u32 = 39;
        match header.opcode {
            // No file has any. Programs ask whether it is a terminal with each file that they open.
            IOCTL => self.tell_kernel(&message::reply(header.unique, Err(Errno::NOTTY))),
            // They have no answer. One that is lost costs the server some memory; one that came twice would be an error.
            opcode::FORGET | opcode::BATCH_FORGET | opcode::DESTROY => self.queue(request),
            opcode::INTERRUPT => self.tell_kernel(&message::reply(header.unique, Err(Errno::NOSYS))),
            // Without a connection nobody says that a file has changed, nor whether there is room for more.
            opcode::OPEN | opcode::OPENDIR | opcode::GETATTR | opcode::WRITE if self.connection.is_none() => {
                self.opens.changes();
                self.ask(request);
            }
            opcode::WRITE => {
                self.opens.changes();
                match self.writes.write(header, &request) {
                    writes::Taken::Ask => self.ask(request),
                    writes::Taken::Refused(answer) => self.tell_kernel(&answer),
                    writes::Taken::Early(answer) => {
                        self.ask(request);
                        self.tell_kernel(&answer);
                    }
                }
            }
            opcode::FLUSH => {
                if let Some(answer) = self.writes.flush(header) {
                    self.tell_kernel(&answer);
                }
            }
            _ => {
                let mut first = Vec::new();
                let taken = self.opens.take(header, request, &mut first);
                for request in first {
                    self.ask(request);
                }
                self.go_on(taken);
            }
        }
    }

    fn go_on(&mut self, taken: opens::Taken) {
        match taken {
            opens::Taken::Ask(request) => self.ask(request),
            opens::Taken::Answer(answer) => self.tell_kernel(&answer),
            opens::Taken::Wait => {}
        }
    }

    /// Asks the server, again and again until there is an answer.
    fn ask(&mut self, request: Bytes) {
        self.asked.begin(&request);
        self.places.extend(message::header(&request).map(|header| (header.unique, self.next)));
        self.waiting.insert(self.next, request.clone());
        self.next += 1;
        self.queue(request);
    }

    fn queue(&mut self, message: Bytes) {
        if let Some(connection) = &mut self.connection {
            connection.queued += message.len();
            connection.queue.push_back(message);
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        while let Some(message) = connection.queue.front_mut() {
            match connection.output.try_write(message) {
                Ok(written) => {
                    message.advance(written);
                    connection.queued -= written;
                    if message.is_empty() {
                        connection.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_answers(&mut self) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        match connection.input.try_read(&mut self.buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => connection.partial.extend_from_slice(&self.buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        connection.heard = Instant::now();
        let mut arrived = std::mem::take(&mut connection.partial);
        let mut at = 0;
        while let Ok((header, _)) = OutHeader::read_from_prefix(&arrived[at..]) {
            let length = header.len as usize;
            if !(OUT_HEADER..=MAX_MESSAGE).contains(&length) {
                return Err(io::Error::other("an answer of a length that none has"));
            }
            let Some(answer) = arrived.get(at..at + length) else { break };
            at += length;
            // What was answered before may be answered again; the kernel hears it once. Unasked for are only notices.
            let request = self.places.remove(&header.unique).and_then(|place| self.waiting.remove(&place));
            if let Some(request) = request {
                let mut next = Vec::new();
                if let Some(answers) = self.writes.answered(&request, answer) {
                    for answer in answers {
                        self.tell_kernel(&answer);
                    }
                } else if let Some(answer) = self.opens.answered(&request, answer, &mut next) {
                    self.tell_kernel(&answer);
                }
                self.asked.end(&request);
                self.begun(&request);
                for taken in next {
                    self.go_on(taken);
                }
            } else if header.unique == 0 && matches!(header.error, notify::INVAL_INODE | notify::INVAL_ENTRY) {
                if header.error == notify::INVAL_INODE
                    && let Ok((file, _)) = u64::read_from_prefix(&answer[OUT_HEADER..])
                {
                    self.opens.changed(file);
                }
                self.notifier.take(Bytes::copy_from_slice(answer))?;
            } else if header.unique == 0 && header.error != PONG {
                tracing::warn!("a notice of kind {}, which there is not", header.error);
            }
        }
        arrived.drain(..at);
        if let Some(connection) = &mut self.connection {
            connection.partial = arrived;
        }
        Ok(())
    }

    /// The kernel has its answer to a request. The first is with which the mount begins.
    fn begun(&mut self, request: &[u8]) {
        if message::header(request).is_some_and(|header| header.opcode == opcode::INIT)
            && let Some(read_ahead) = self.read_ahead.take()
            && let Err(error) = read_ahead.raise()
        {
            tracing::info!("reads less far ahead: {error}");
        }
    }

    fn tell_kernel(&self, answer: &[u8]) {
        match rustix::io::write(self.device.get_ref(), answer) {
            // Who asked has gone.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => tracing::warn!("the kernel refuses an answer: {error}"),
        }
    }

    /// Goes on with a new connection, whatever became of the one before.
    fn connect(&mut self, handover: Handover) -> io::Result<()> {
        for pipe in [&handover.input, &handover.output] {
            // More at a time where the system lets it.
            let _ = fcntl_setpipe_size(pipe, PIPE);
        }
        let mut connection = Connection {
            input: pipe::Receiver::from_owned_fd(handover.input)?,
            output: pipe::Sender::from_owned_fd(handover.output)?,
            relay: handover.relay,
            heard: Instant::now(),
            partial: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
        };
        let hello = Bytes::copy_from_slice(&Hello { session: self.session }.to_bytes());
        for message in std::iter::once(&hello).chain(self.waiting.values()) {
            connection.queued += message.len();
            connection.queue.push_back(message.clone());
        }
        tracing::info!("connected, {} requests wait", self.waiting.len());
        self.connection = Some(connection);
        self.opens.reconnected();
        Ok(())
    }
}

fn ping() -> Bytes {
    let header = InHeader { len: u32::try_from(HEADER).unwrap_or_default(), opcode: PING, ..InHeader::default() };
    Bytes::copy_from_slice(header.as_bytes())
}
