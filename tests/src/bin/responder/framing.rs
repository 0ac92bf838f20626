//! Where requests end: the head at its empty line, the body by `Content-Length`. Nothing else is
//! looked at, pipelining is allowed, and what is not HTTP is refused.
//!
//! A head that is the same as the last one is not read again: this is what most requests of a load
//! look like, and the server must be faster than the tool that it tests.

/// The longest head.
const HEAD_BYTES_MAX: usize = 64 << 10;
const END: &[u8] = b"\r\n\r\n";

/// What came is no HTTP request that can be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Framing {
    /// A head that is not complete yet.
    partial: Vec<u8>,
    /// Bytes of a body still to come.
    body_left: usize,
    /// The last head, and the bytes of its body.
    last: (Vec<u8>, usize),
}

impl Framing {
    /// Takes bytes, and says how many requests they complete.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<u64, Malformed> {
        let mut complete = 0;
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let taken = self.body_left.min(bytes.len());
                self.body_left -= taken;
                bytes = &bytes[taken..];
                complete += u64::from(self.body_left == 0);
                continue;
            }
            let Some(taken) = self.head(bytes)? else { break };
            bytes = &bytes[taken..];
            complete += u64::from(self.body_left == 0);
        }
        Ok(complete)
    }

    /// Takes a head, whose last bytes these are the first of, and says how many of them it took. It
    /// took all of them when the head is not complete.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        if self.partial.is_empty() {
            if !self.last.0.is_empty() && bytes.starts_with(&self.last.0) {
                self.body_left = self.last.1;
                return Ok(Some(self.last.0.len()));
            }
            if let Some(end) = end_of_head(bytes) {
                self.last = (bytes[..end].to_vec(), body_bytes(&bytes[..end])?);
                self.body_left = self.last.1;
                return Ok(Some(end));
            }
        }
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        if let Some(end) = end_of_head(&self.partial) {
            self.partial.truncate(end);
            self.body_left = body_bytes(&self.partial)?;
            self.partial.clear();
            return Ok(Some(end - before));
        }
        if self.partial.len() > HEAD_BYTES_MAX { Err(Malformed) } else { Ok(None) }
    }
}

/// Behind the empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(END.len()).position(|window| window == END).map(|at| at + END.len())
}

/// The bytes of the body that a head announces.
fn body_bytes(head: &[u8]) -> Result<usize, Malformed> {
    let head = std::str::from_utf8(head).map_err(|_| Malformed)?;
    let mut lines = head.split("\r\n");
    let request = lines.next().unwrap_or_default();
    if !request.ends_with(" HTTP/1.1") {
        return Err(Malformed);
    }
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(Ok(0), |(_, value)| value.trim().parse().map_err(|_| Malformed))
}
