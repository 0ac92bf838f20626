//! Puts answers together from the bytes of one connection.

use super::chunked::Chunked;
use super::head::{self, Framing, Head};
use super::{Reply, ReplyError};
use crate::limits::{REPLY_BYTES_MAX, REPLY_HEAD_BYTES_MAX};

/// The longest head that is kept to be compared with the next.
const KNOWN_BYTES_MAX: usize = 1_024;

/// The answers of one connection, in order.
///
/// ```
/// # use cutter_tools::reply::{Framer, ReplyError};
/// # fn main() -> Result<(), ReplyError> {
/// let mut framer = Framer::new(false);
/// let mut bytes: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// while let Some(reply) = framer.next(&mut bytes)? {
///     assert_eq!((reply.status, reply.body), (200, &b"hi"[..]));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Framer {
    /// Whether the requests are HEAD, whose answers have no body.
    is_to_head: bool,
    part: Part,
    /// The beginning of a head whose end has not come.
    head: Vec<u8>,
    /// What came of a body that is not whole, or did not come whole.
    body: Vec<u8>,
    /// `body` was given out: nobody holds it any more when the next call comes.
    is_given: bool,
    /// Bytes of the 1xx answers before the present one.
    interim_bytes: usize,
    known: Known,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Head,
    Length { head: Head, left: usize },
    Chunked { head: Head, chunked: Chunked },
    UntilClose { head: Head, head_bytes: usize },
}

/// The last head, byte for byte. Servers say the same for a whole second; comparing is ten times
/// cheaper than parsing.
#[derive(Debug, Default)]
struct Known {
    bytes: Vec<u8>,
    head: Option<Head>,
}

impl Known {
    fn keep(&mut self, whole: &[u8], head: Head) {
        if whole.len() <= KNOWN_BYTES_MAX {
            self.bytes.clear();
            self.bytes.extend_from_slice(whole);
            self.head = Some(head);
        }
    }
}

impl Framer {
    pub fn new(is_to_head: bool) -> Self {
        Self {
            is_to_head,
            part: Part::Head,
            head: Vec::new(),
            body: Vec::new(),
            is_given: false,
            interim_bytes: 0,
            known: Known::default(),
        }
    }

    /// Forgets what came, for a new connection. Memory is kept.
    pub fn reset(&mut self) {
        self.part = Part::Head;
        self.head.clear();
        self.body.clear();
        self.is_given = false;
        self.interim_bytes = 0;
    }

    /// The next answer, from what came earlier and the front of `bytes`, which is moved past it.
    /// `None`: all of `bytes` was taken, and more is needed.
    ///
    /// # Errors
    /// When what came is no answer; after that, only [`Framer::reset`] makes sense.
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b [u8],
    ) -> Result<Option<Reply<'a>>, ReplyError> {
        self.clear_given();
        loop {
            match &mut self.part {
                Part::Head => {
                    let Some((head, head_bytes)) = self.next_head(bytes)? else { return Ok(None) };
                    if let Framing::Length(length) = head.framing
                        && let Some((body, rest)) = bytes.split_at_checked(length)
                    {
                        *bytes = rest;
                        return Ok(Some(reply(head, body)));
                    }
                    self.part = match head.framing {
                        Framing::Length(length) => Part::Length { head, left: length },
                        Framing::Chunked => {
                            Part::Chunked { head, chunked: Chunked::new(head_bytes) }
                        }
                        Framing::UntilClose => Part::UntilClose { head, head_bytes },
                    };
                }
                Part::Length { head, left } => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(*left));
                    self.body.extend_from_slice(taken);
                    *bytes = rest;
                    *left -= taken.len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    let head = *head;
                    return Ok(Some(self.give(head)));
                }
                Part::Chunked { head, chunked } => {
                    if !chunked.take(bytes, &mut self.body)? {
                        return Ok(None);
                    }
                    let head = *head;
                    return Ok(Some(self.give(head)));
                }
                Part::UntilClose { head_bytes, .. } => {
                    if *head_bytes + self.body.len() + bytes.len() > REPLY_BYTES_MAX {
                        return Err(ReplyError::TooLong);
                    }
                    self.body.extend_from_slice(bytes);
                    *bytes = &[];
                    return Ok(None);
                }
            }
        }
    }

    /// The server closed the connection: the answer that was to end so, if there is one.
    ///
    /// # Errors
    /// When it was closed in the middle of an answer.
    pub fn end(&mut self) -> Result<Option<Reply<'_>>, ReplyError> {
        self.clear_given();
        if let Part::UntilClose { head, .. } = self.part {
            return Ok(Some(self.give(head)));
        }
        if self.is_empty() { Ok(None) } else { Err(ReplyError::Cut) }
    }

    /// Whether nothing is left of what came.
    pub fn is_empty(&self) -> bool {
        matches!(self.part, Part::Head) && self.head.is_empty() && self.interim_bytes == 0
    }

    /// The next head that is no 1xx, and its length.
    fn next_head(&mut self, bytes: &mut &[u8]) -> Result<Option<(Head, usize)>, ReplyError> {
        loop {
            let Some((head, head_bytes)) = self.any_head(bytes)? else { return Ok(None) };
            match (head.status, head.framing) {
                (101, _) => return Err(ReplyError::Switched),
                (100..=199, _) => {
                    self.interim_bytes += head_bytes;
                    if self.interim_bytes > REPLY_HEAD_BYTES_MAX {
                        return Err(ReplyError::HeadTooLong);
                    }
                }
                (_, Framing::Length(length)) if length > REPLY_BYTES_MAX - head_bytes => {
                    return Err(ReplyError::TooLong);
                }
                _ => {
                    self.interim_bytes = 0;
                    return Ok(Some((head, head_bytes)));
                }
            }
        }
    }

    fn any_head(&mut self, bytes: &mut &[u8]) -> Result<Option<(Head, usize)>, ReplyError> {
        if self.head.is_empty() {
            if let Some(head) = self.known.head
                && let Some(rest) = bytes.strip_prefix(&*self.known.bytes)
            {
                *bytes = rest;
                return Ok(Some((head, self.known.bytes.len())));
            }
            head::check_start(bytes)?;
            // What is wrong or not whole is looked at again below, where it does not matter how
            // the bytes were split.
            if let Ok((head, end)) = head::read(bytes, self.is_to_head)
                && end <= REPLY_HEAD_BYTES_MAX
            {
                let (whole, rest) = bytes.split_at(end);
                *bytes = rest;
                self.known.keep(whole, head);
                return Ok(Some((head, end)));
            }
        }
        self.continued_head(bytes)
    }

    /// A head that comes in pieces.
    fn continued_head(&mut self, bytes: &mut &[u8]) -> Result<Option<(Head, usize)>, ReplyError> {
        let searched = self.head.len();
        // No more than a head may have, so that a slice of any size is cheap.
        let taken = bytes.len().min(REPLY_HEAD_BYTES_MAX + 1 - searched);
        self.head.extend_from_slice(&bytes[..taken]);
        head::check_start(&self.head)?;
        let Some(end) = head::find_end(&self.head, searched) else {
            *bytes = &bytes[taken..];
            let is_too_long = self.head.len() > REPLY_HEAD_BYTES_MAX;
            return if is_too_long { Err(ReplyError::HeadTooLong) } else { Ok(None) };
        };
        *bytes = &bytes[end - searched..];
        if end > REPLY_HEAD_BYTES_MAX {
            return Err(ReplyError::HeadTooLong);
        }
        let whole = &self.head[..end];
        let (head, _) = head::read(whole, self.is_to_head)?;
        self.known.keep(whole, head);
        self.head.clear();
        Ok(Some((head, end)))
    }

    fn give(&mut self, head: Head) -> Reply<'_> {
        self.part = Part::Head;
        self.is_given = true;
        reply(head, &self.body)
    }

    fn clear_given(&mut self) {
        if self.is_given {
            self.body.clear();
            self.is_given = false;
        }
    }
}

fn reply(head: Head, body: &[u8]) -> Reply<'_> {
    let Head { status, keep_alive, inference_header_length, .. } = head;
    Reply { status, keep_alive, inference_header_length, body }
}
