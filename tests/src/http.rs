//! A client that sends exactly the bytes that it is given, and sees how the answer's bytes come.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::limits::{READ_BYTES, REFUSED_AFTER, REFUSED_BYTES_MAX, SOCKET_TIME};

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Received and not yet taken.
    received: Vec<u8>,
    /// Receives that gave bytes.
    reads: usize,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// The status line and the fields.
    pub head: String,
    pub body: Vec<u8>,
    /// Receives that it took to get it whole.
    pub reads: usize,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let field = fields.find(|(found, _)| found.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.trim())
    }

    /// Whether the connection ends with this answer.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

impl Client {
    #[track_caller]
    pub fn tcp(address: SocketAddr) -> Client {
        Client::try_tcp(address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// # Errors
    /// When nobody accepts.
    pub fn try_tcp(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, SOCKET_TIME)?;
        stream.set_read_timeout(Some(SOCKET_TIME))?;
        stream.set_write_timeout(Some(SOCKET_TIME))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: Stream::Tcp(stream), received: Vec::new(), reads: 0 })
    }

    #[track_caller]
    pub fn unix(path: &Path) -> Client {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(SOCKET_TIME))?;
            stream.set_write_timeout(Some(SOCKET_TIME))?;
            io::Result::Ok(stream)
        };
        let stream = connect().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Client { stream: Stream::Unix(stream), received: Vec::new(), reads: 0 }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server takes what a client sends");
    }

    /// # Errors
    /// When the server has closed, or does not take the bytes.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends the same again and again, until the server has taken nothing for a while.
    #[track_caller]
    pub fn send_until_refused(&mut self, bytes: &[u8]) {
        let set = match &self.stream {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(REFUSED_AFTER)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(REFUSED_AFTER)),
        };
        set.expect("a socket takes a time-out");
        let refused = (0..REFUSED_BYTES_MAX / bytes.len()).find(|_| self.try_send(bytes).is_err());
        assert!(refused.is_some(), "the server took {REFUSED_BYTES_MAX} bytes and answered none");
    }

    /// Says that nothing more will be sent.
    #[track_caller]
    pub fn end_sending(&mut self) {
        let ended = match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        ended.expect("an open connection can be shut");
    }

    /// Ends the connection at once, with everything that is on its way.
    #[track_caller]
    pub fn reset(self) {
        let at_once = Some(Duration::ZERO);
        let set = match &self.stream {
            Stream::Tcp(stream) => set_socket_linger(stream, at_once),
            Stream::Unix(stream) => set_socket_linger(stream, at_once),
        };
        set.expect("an open connection can be reset");
    }

    /// The next answer, which may be an interim one such as a 100.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().unwrap_or_else(|error| {
            panic!("no answer: {error}; so far: {}", String::from_utf8_lossy(&self.received))
        })
    }

    /// # Errors
    /// When the connection ends or nothing comes before the answer is whole, or it is no answer.
    pub fn try_response(&mut self) -> io::Result<Response> {
        self.reads = 0;
        let end = loop {
            match self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.read()?,
            }
        };
        let head = String::from_utf8(self.received[..end].to_vec());
        let head = head.map_err(|_| bad("the head is not UTF-8"))?;
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        let status = status.filter(|_| head.starts_with("HTTP/1.1 "));
        let status: u16 = status.ok_or_else(|| bad("no status line"))?;
        let mut response = Response { status, head, body: Vec::new(), reads: 0 };
        let length = match response.field("content-length") {
            Some(length) => length.parse().map_err(|_| bad("no length"))?,
            None if matches!(status, 100 | 204) => 0,
            None => return Err(bad("an answer without a length")),
        };
        while self.received.len() < end + length {
            self.read()?;
        }
        response.body = self.received[end..end + length].to_vec();
        response.reads = self.reads;
        self.received.drain(..end + length);
        Ok(response)
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn request(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes);
        self.response()
    }

    /// `POST` of a JSON text, and its answer.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: impl AsRef<str>) -> Response {
        self.request(post(path, body.as_ref()))
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request(format!("GET {path} HTTP/1.1\r\nHost: cutter\r\n\r\n"))
    }

    /// A query of one input, and its answer; its HTTP status has to be 200.
    #[track_caller]
    pub fn predict(&mut self, application: &str, input: impl Into<Value>) -> Value {
        let body = serde_json::json!({ "input": input.into() }).to_string();
        let response = self.post(&format!("/{application}/predict"), body);
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// Whether nothing has come that is not taken yet. It looks, and does not wait.
    #[track_caller]
    pub fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        self.set_blocking(false);
        let looked = match &mut self.stream {
            Stream::Tcp(stream) => stream.peek(&mut byte),
            Stream::Unix(stream) => stream.read(&mut byte),
        };
        self.set_blocking(true);
        let nothing = looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        nothing && self.received.is_empty()
    }

    /// Waits for the end of the connection, before which nothing more may come.
    #[track_caller]
    pub fn expect_end(&mut self) {
        // A reset is an end, too: the server may have thrown unread bytes away.
        let end = self.read().expect_err("the server ends the connection");
        let ends = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        assert!(ends.contains(&end.kind()), "{end}");
        assert_eq!(String::from_utf8_lossy(&self.received), "", "after the last answer");
    }

    fn read(&mut self) -> io::Result<()> {
        let length = self.received.len();
        self.received.resize(length + READ_BYTES, 0);
        let into = &mut self.received[length..];
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        };
        self.received.truncate(length + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {
                self.reads += 1;
                Ok(())
            }
        }
    }

    fn set_blocking(&mut self, blocking: bool) {
        let set = match &mut self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(!blocking),
            Stream::Unix(stream) => stream.set_nonblocking(!blocking),
        };
        set.expect("a socket can be switched");
    }
}

/// The bytes of a `POST` with a JSON text.
pub fn post(path: &str, body: &str) -> String {
    let bytes = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: cutter\r\nContent-Type: application/json\r\n\
         Content-Length: {bytes}\r\n\r\n{body}"
    )
}

fn bad(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
