//! One who asks over HTTP, on one connection that is kept.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cutter_tools::reply::Framer;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A request that is not answered by then fails the bench.
const REPLY_TIME_LIMIT: Duration = Duration::from_secs(10);
const PIECE_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    framer: Framer,
    piece: Vec<u8>,
}

/// The answer to a query.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    pub query_id: u64,
    pub output: i64,
    pub default: bool,
    #[serde(default)]
    pub confidence: f64,
    /// What each model said, if that was asked for.
    #[serde(default)]
    pub models: Vec<Spoke>,
}

/// What a model said, if it did in time.
#[derive(Clone, Debug, Deserialize)]
pub struct Spoke {
    pub model: String,
    pub output: Option<i64>,
}

/// What became of several updates.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Learned {
    pub learned: u64,
    pub evaluating: u64,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIME_LIMIT))?;
        Ok(Self { stream, framer: Framer::new(false), piece: vec![0; PIECE_BYTES] })
    }

    /// Asks, and reads the answer, which must be one of success.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &[u8]) -> io::Result<T> {
        self.stream.write_all(request)?;
        loop {
            let bytes = self.stream.read(&mut self.piece)?;
            if bytes == 0 {
                return Err(io::Error::other("the server closed a connection"));
            }
            let mut came = &self.piece[..bytes];
            let Some(reply) = self.framer.next(&mut came).map_err(io::Error::other)? else {
                continue;
            };
            if !matches!(reply.status, 200..=299) {
                let text = String::from_utf8_lossy(reply.body);
                return Err(io::Error::other(format!("answered {}: {text}", reply.status)));
            }
            return serde_json::from_slice(reply.body).map_err(|error| {
                let text = String::from_utf8_lossy(reply.body);
                io::Error::other(format!("not the answer that was expected: {error}: {text}"))
            });
        }
    }
}

impl Answer {
    /// What a model said, if it did in time.
    pub fn said(&self, model: &str) -> Option<i64> {
        self.models.iter().find(|spoke| spoke.model == model).and_then(|spoke| spoke.output)
    }

    /// Models of so many that had not said anything when it was answered.
    pub fn missing(&self, of: usize) -> usize {
        of - self.models.iter().filter(|spoke| spoke.output.is_some()).count()
    }
}
