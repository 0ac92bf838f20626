//! The sockets of the connections: which number has which descriptor, and what it is doing.

use std::collections::VecDeque;

use cutter_machine::uring::Token;

/// One connection's socket.
#[derive(Debug)]
pub struct Socket<S> {
    pub fd: S,
    /// A receive is in flight.
    pub receiving: bool,
    /// It waits for its part of a turn to be received from.
    pub queued: bool,
    /// Its end was asked for.
    pub stopping: bool,
    /// The client will send nothing more.
    pub ended: bool,
    /// When to look whether a client that is silent amid a request is still there.
    pub look_ns: Option<u64>,
    /// A send is in flight.
    pub sending: bool,
    pub stage: Stage,
    /// What to send next, and the buffer that comes back from the last send.
    pub buffer: Vec<u8>,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Open,
    /// The last answer is out and our side is shut; the client's remaining bytes are thrown away
    /// until it closes or this time has come. Closing at once could destroy the answer on its way.
    Lingering {
        until_ns: u64,
    },
    /// Both sides are shut. The number is free when the operations in flight have ended.
    Ending,
}

/// All sockets, by connection number.
#[derive(Debug)]
pub struct Connections<S> {
    sockets: Box<[Option<Socket<S>>]>,
    generations: Box<[u32]>,
    /// Free numbers, the one that has been free for longest first.
    free: VecDeque<usize>,
}

impl<S> Connections<S> {
    /// Room for so many.
    pub fn new(places: usize) -> Self {
        Self {
            sockets: (0..places).map(|_| None).collect(),
            generations: vec![0; places].into(),
            free: (0..places).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.sockets.len() - self.free.len()
    }

    /// Gives a number to a connection; gives the descriptor back when there is none.
    pub fn insert(&mut self, fd: S) -> Result<usize, S> {
        let Some(connection) = self.free.pop_front() else { return Err(fd) };
        self.sockets[connection] = Some(Socket {
            fd,
            receiving: false,
            queued: false,
            stopping: false,
            ended: false,
            look_ns: None,
            sending: false,
            stage: Stage::Open,
            buffer: Vec::new(),
        });
        Ok(connection)
    }

    pub fn get_mut(&mut self, connection: usize) -> Option<&mut Socket<S>> {
        self.sockets[connection].as_mut()
    }

    pub fn stage(&self, connection: usize) -> Option<Stage> {
        self.sockets[connection].as_ref().map(|socket| socket.stage)
    }

    /// The numbers in use.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        let sockets = self.sockets.iter().enumerate();
        sockets.filter_map(|(connection, socket)| socket.is_some().then_some(connection))
    }

    /// The sockets in use.
    pub fn sockets(&self) -> impl Iterator<Item = &Socket<S>> + '_ {
        self.sockets.iter().flatten()
    }

    /// Frees a number.
    pub fn remove(&mut self, connection: usize) -> Option<Socket<S>> {
        let socket = self.sockets[connection].take()?;
        self.generations[connection] = self.generations[connection].wrapping_add(1);
        self.free.push_back(connection);
        Some(socket)
    }

    /// The token of an operation on a connection.
    pub fn token(&self, kind: u8, connection: usize) -> Token {
        let index = u32::try_from(connection).expect("bounded by CONNECTIONS_MAX");
        Token::new(kind, index, self.generations[connection])
    }

    /// The connection that a token names, unless it has gone since.
    pub fn named_by(&self, token: Token) -> Option<usize> {
        let connection = token.index() as usize;
        let current = self.generations.get(connection) == Some(&token.generation());
        (current && self.sockets[connection].is_some()).then_some(connection)
    }
}
