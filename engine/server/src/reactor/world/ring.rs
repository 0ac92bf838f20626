//! The loop's ring over the simulated kernel.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::rc::Rc;

use cutter_machine::uring::{Counters, RingError, Token};
use rustix::net::Shutdown;

use super::kernel::{Buffer, Done, Fd, Port, Times};
use super::state::State;
use crate::reactor::ring::Ring;

#[derive(Debug)]
pub struct SimulatedRing {
    state: Rc<RefCell<State>>,
}

impl SimulatedRing {
    pub fn new(state: Rc<RefCell<State>>) -> Self {
        Self { state }
    }
}

impl Ring for SimulatedRing {
    type Socket = Fd;
    type Listener = Port;
    type Buffer = Buffer;

    fn accept_multishot(&mut self, listener: &Port, token: Token) {
        self.state.borrow_mut().kernel.accept(listener.0, token);
    }

    fn recv_multishot(&mut self, connection: &Fd, token: Token) {
        self.state.borrow_mut().kernel.receive(connection.0, token, Times::Many);
    }

    fn recv(&mut self, connection: &Fd, token: Token) {
        self.state.borrow_mut().kernel.receive(connection.0, token, Times::Once);
    }

    fn send(&mut self, connection: &Fd, bytes: Vec<u8>, token: Token) {
        self.state.borrow_mut().kernel.send(connection.0, bytes, token);
    }

    fn send_now(&mut self, connection: &Fd, bytes: &[u8]) {
        self.state.borrow_mut().kernel.send_now(connection.0, bytes);
    }

    fn read_u64(&mut self, bell: BorrowedFd<'_>, token: Token) {
        self.state.borrow_mut().kernel.read_bell(bell.as_raw_fd(), token);
    }

    fn cancel(&mut self, token: Token) {
        self.state.borrow_mut().kernel.cancel(token);
    }

    fn shutdown(&mut self, connection: &Fd, how: Shutdown) {
        self.state.borrow_mut().kernel.shutdown(connection.0, how);
    }

    fn close(&mut self, connection: Fd) {
        self.state.borrow_mut().kernel.close(connection.0);
    }

    fn is_over(&self, connection: &Fd) -> bool {
        self.state.borrow().kernel.is_over(connection.0)
    }

    fn bytes<'a>(&'a self, buffer: &'a Buffer) -> &'a [u8] {
        &buffer.bytes
    }

    fn recycle(&mut self, buffer: Buffer) {
        self.state.borrow_mut().kernel.recycle(buffer);
    }

    fn poll(&mut self, completions: &mut Vec<Done>) -> Result<usize, RingError> {
        let state = &mut *self.state.borrow_mut();
        state.catch_up();
        let count = state.kernel.reap(completions);
        state.catch_up();
        Ok(count)
    }

    fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        completions: &mut Vec<Done>,
    ) -> Result<usize, RingError> {
        Ok(self.state.borrow_mut().wait(timeout_ns.unwrap_or(u64::MAX), completions))
    }

    fn counters(&self) -> Counters {
        self.state.borrow().kernel.counters
    }
}
