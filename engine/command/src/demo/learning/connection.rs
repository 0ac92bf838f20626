//! One kept connection to the server: a question, and its answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cutter_tools::reply::Framer;
use serde::de::DeserializeOwned;

use super::LearningError;
use crate::demo::limits::ANSWER_NS_MAX;

const RECEIVED_BYTES: usize = 16 << 10;

/// A client of the query port.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    host: SocketAddr,
    framer: Framer,
    question: Vec<u8>,
    received: Vec<u8>,
}

impl Connection {
    pub fn open(host: SocketAddr) -> Result<Self, LearningError> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_nanos(ANSWER_NS_MAX)))?;
        let (framer, received) = (Framer::new(false), vec![0; RECEIVED_BYTES]);
        Ok(Self { stream, host, framer, question: Vec::new(), received })
    }

    /// Sends a body, and reads the JSON of its answer.
    pub fn post<T: DeserializeOwned>(
        &mut self,
        application: &str,
        verb: &str,
        body: &str,
    ) -> Result<T, LearningError> {
        let (host, length) = (self.host, body.len());
        self.question.clear();
        write!(
            self.question,
            "POST /{application}/{verb} HTTP/1.1\r\nHost: {host}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )?;
        self.stream.write_all(&self.question)?;
        loop {
            let received = self.stream.read(&mut self.received)?;
            if received == 0 {
                return Err(LearningError::Closed);
            }
            let mut bytes = &self.received[..received];
            if let Some(reply) = self.framer.next(&mut bytes)? {
                let said = || String::from_utf8_lossy(reply.body).into_owned();
                if reply.status != 200 {
                    return Err(LearningError::Refused { status: reply.status, said: said() });
                }
                return serde_json::from_slice(reply.body)
                    .map_err(|source| LearningError::Unreadable { source, said: said() });
            }
        }
    }
}
