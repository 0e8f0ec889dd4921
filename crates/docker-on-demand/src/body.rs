//! Where the body of a message ends, and what of its bytes is content.

use std::{io, ops::Range};

use crate::head::malformed;

/// How long the line may be that begins a chunk.
const MOST_LINE: usize = 16 << 10;

/// The part of a body that has not been read.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// So many bytes.
    Sized(u64),
    /// Chunks (RFC 9112, 7.1).
    Chunked(Chunks),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// What was found at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// How many belong to the body. None: more have to be read.
    pub(crate) taken: usize,
    /// Which of them are content.
    pub(crate) content: Range<usize>,
}

impl Body {
    pub(crate) fn sized(length: u64) -> Self {
        Self::Sized(length)
    }

    pub(crate) fn chunked() -> Self {
        Self::Chunked(Chunks::Size)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Sized(0) | Self::Chunked(Chunks::Done))
    }

    /// Takes what comes next of the body from the beginning of these bytes.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> io::Result<Span> {
        let data = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let nothing = |taken: usize| Span { taken, content: 0..0 };
        match self {
            Self::Sized(left) => {
                let taken = data(*left);
                *left -= taken as u64;
                Ok(Span { taken, content: 0..taken })
            }
            Self::Chunked(Chunks::Data(left)) => {
                let taken = data(*left);
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::Chunked(Chunks::DataEnd);
                }
                Ok(Span { taken, content: 0..taken })
            }
            Self::Chunked(Chunks::Done) => Ok(nothing(0)),
            Self::Chunked(state) => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                    return if bytes.len() > MOST_LINE {
                        Err(malformed("a chunk without a size"))
                    } else {
                        Ok(nothing(0))
                    };
                };
                let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
                *state = match state {
                    Chunks::Size => match size(line)? {
                        0 => Chunks::Trailer,
                        size => Chunks::Data(size),
                    },
                    Chunks::DataEnd if line.is_empty() => Chunks::Size,
                    Chunks::DataEnd => return Err(malformed("a chunk that is longer than it says")),
                    _ if line.is_empty() => Chunks::Done,
                    _ => Chunks::Trailer,
                };
                Ok(nothing(end + 1))
            }
        }
    }

    /// How many of these bytes belong to the body.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = 0;
        loop {
            match self.next(&bytes[all..])?.taken {
                0 => return Ok(all),
                taken => all += taken,
            }
        }
    }
}

fn size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| malformed("a chunk without a size"))
}

/// A chunk of this content, which is not empty.
pub(crate) fn chunk(content: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", content.len()).into_bytes();
    chunk.extend_from_slice(content);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The end of a body of chunks.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a body that comes in pieces of this size, and how many bytes it has in all.
    fn content(mut body: Body, bytes: &[u8], piece: usize) -> (Vec<u8>, usize) {
        let (mut content, mut at, mut seen) = (Vec::new(), 0, 0);
        while !body.is_done() {
            let span = body.next(&bytes[at..seen]).expect("well-formed");
            content.extend_from_slice(&bytes[at..][span.content]);
            at += span.taken;
            if span.taken == 0 {
                assert!(seen < bytes.len(), "it has an end");
                seen = (seen + piece).min(bytes.len());
            }
        }
        (content, at)
    }

    #[test]
    fn a_body_ends_where_it_says_however_it_comes() {
        let chunks = b"4;x=y\r\nwiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1";
        for piece in [1, 2, 3, 7, 1000] {
            let (found, length) = content(Body::chunked(), chunks, piece);
            assert_eq!((found.as_slice(), length), (b"wikipedia in \r\n\r\nchunks.".as_slice(), chunks.len() - 14));
            assert_eq!(content(Body::sized(4), b"wikipedia", piece), (b"wiki".to_vec(), 4));
        }
        assert_eq!(Body::chunked().skip(chunks).expect("well-formed"), chunks.len() - 14);
        assert_eq!(content(Body::chunked(), &[chunk(b"abc"), LAST_CHUNK.to_vec()].concat(), 2).0, b"abc");
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for wrong in [b"x\r\n".as_slice(), b"-1\r\n", b"\r\n", b"2\r\nabc\r\n", &[b'1'; 20_000]] {
            assert!(Body::chunked().skip(wrong).is_err(), "{}", String::from_utf8_lossy(&wrong[..4.min(wrong.len())]));
        }
    }
}
