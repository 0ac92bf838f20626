//! An echo of one connection over a ring set up otherwise than the engine's, which shows why the
//! engine's is set up as it is. One receive and one send at a time, submitted together.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::thread;

use cutter_benches::cores::{Cores, pin};
use cutter_benches::floor::Exchanges;
use cutter_benches::measurement::Round;
use io_uring::{IoUring, opcode, squeue, types};

use crate::tcp::{Sizes, Wait, client, joined, listen};

/// How the kernel makes the thread finish its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// COOP_TASKRUN and TASKRUN_FLAG: it sets a flag, and the thread enters.
    Flag,
    /// Neither: it interrupts the thread.
    Interrupt,
}

const RING_ENTRIES: u32 = 8;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

pub fn round(
    cores: Cores,
    sizes: Sizes,
    notify: Notify,
    exchanges: Exchanges,
) -> io::Result<Round> {
    let (listener, address) = listen()?;
    let server = thread::spawn(move || {
        pin(cores.engine)?;
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        serve(&stream, sizes, notify)
    });
    let round = client(cores, address, sizes, Wait::Spin, exchanges)?;
    joined(server)?;
    Ok(round)
}

/// Answers until the client closes.
fn serve(stream: &TcpStream, sizes: Sizes, notify: Notify) -> io::Result<()> {
    let mut builder = IoUring::builder();
    if notify == Notify::Flag {
        builder.setup_coop_taskrun().setup_taskrun_flag();
    }
    let (mut request, reply) = (vec![0u8; sizes.0], vec![b'.'; sizes.1]);
    // Declared after the bytes that its operations use, so that it is closed before they go.
    let mut ring = builder.build(RING_ENTRIES)?;
    let socket = types::Fd(stream.as_raw_fd());
    let room = |bytes: &[u8]| u32::try_from(bytes.len()).expect("small messages");
    let receive = opcode::Recv::new(socket, request.as_mut_ptr(), room(&request));
    let receive = receive.build().user_data(RECEIVE);
    let send = opcode::Send::new(socket, reply.as_ptr(), room(&reply)).build().user_data(SEND);
    let mut received = 0;
    push(&mut ring, &receive)?;
    ring.submit()?;
    loop {
        if ring.submission().taskrun() {
            ring.submit()?;
        }
        let Some(completion) = ring.completion().next() else {
            std::hint::spin_loop();
            continue;
        };
        let bytes = completion.result();
        match (completion.user_data(), bytes) {
            (_, ..0) => return Err(io::Error::from_raw_os_error(-bytes)),
            (RECEIVE, 0) => return Ok(()),
            (RECEIVE, _) => {
                received += usize::try_from(bytes).expect("not negative");
                if received >= sizes.0 {
                    received -= sizes.0;
                    push(&mut ring, &send)?;
                }
                push(&mut ring, &receive)?;
                ring.submit()?;
            }
            _ => {}
        }
    }
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: both operations use vectors of `serve`, which outlive the ring; the next send starts
    // after the client has had the last one, and the reply is never written.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)
}
