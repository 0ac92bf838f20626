//! The ring against the running kernel, over real sockets.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::{Completion, Ring, RingConfig, RingError, Token};

/// Longest that a test waits for something that must come.
const PATIENCE_NS: u64 = 10_000_000_000;
const ACCEPT: Token = Token::new(1, 0, 0);
const RECEIVE: Token = Token::new(2, 7, 1);
const SEND: Token = Token::new(3, 7, 1);
const WAKE: Token = Token::new(4, 0, 0);

fn ring_of(sq_entries: u32, receive_buffers: u16, receive_buffer_bytes: u32) -> Ring {
    Ring::new(RingConfig { sq_entries, receive_buffers, receive_buffer_bytes }).unwrap()
}

fn ring() -> Ring {
    ring_of(8, 8, 4096)
}

/// Completions up to and with the first that `wanted` says yes to.
fn until(ring: &mut Ring, mut wanted: impl FnMut(&Completion) -> bool) -> Vec<Completion> {
    let mut all = Vec::new();
    let end = Instant::now() + Duration::from_nanos(PATIENCE_NS);
    loop {
        let seen = all.len();
        ring.wait(Some(PATIENCE_NS), &mut all).unwrap();
        if all[seen..].iter().any(&mut wanted) {
            return all;
        }
        assert!(Instant::now() < end, "what the test waits for never came: {all:?}");
    }
}

fn last_of(ring: &mut Ring, token: Token) -> Completion {
    let mut all = until(ring, |completion| completion.token == token && !completion.more);
    let position = all.iter().position(|completion| completion.token == token && !completion.more);
    all.swap_remove(position.unwrap())
}

/// Takes the bytes out of a completion and gives the buffer back.
fn take_bytes(ring: &mut Ring, completion: Completion) -> Vec<u8> {
    let buffer = completion.buffer.unwrap();
    let bytes = ring.bytes(&buffer).to_vec();
    ring.recycle(buffer);
    bytes
}

fn pair() -> (OwnedFd, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(Duration::from_nanos(PATIENCE_NS))).unwrap();
    (near.into(), far)
}

#[test]
fn requests_are_echoed_over_an_accepted_connection() {
    let mut ring = ring();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    ring.accept_multishot(listener.as_fd(), ACCEPT);
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut accepted = until(&mut ring, |completion| completion.token == ACCEPT).remove(0);
    assert!(accepted.more);
    let connection = accepted.accepted.take().unwrap();

    ring.recv_multishot(connection.as_fd(), RECEIVE);
    let requests: [&[u8]; 3] = [b"first", b"second", b"third"];
    for request in requests {
        client.write_all(request).unwrap();
        let received = until(&mut ring, |completion| completion.token == RECEIVE).remove(0);
        assert!(received.more);
        let bytes = take_bytes(&mut ring, received);
        ring.send(connection.as_fd(), bytes, SEND);
        let sent = last_of(&mut ring, SEND);
        assert_eq!(sent.returned.as_deref(), Some(request));
        let mut reply = vec![0; request.len()];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(reply, request);
    }
    drop(client);
    assert_eq!(last_of(&mut ring, RECEIVE).result, Ok(0));
    assert_eq!((ring.operations_in_flight(), ring.buffers_lent()), (1, 0));
}

#[test]
fn shared_bytes_are_kept_until_the_last_of_them_is_sent() {
    let mut ring = ring();
    let (near, mut far) = pair();
    // More than a socket takes at once, so that the send has to wait for its reader.
    let bytes: Arc<[u8]> = (0..4 << 20).map(|at: u32| at.to_le_bytes()[0]).collect();
    let part = 3..bytes.len() - 2;
    ring.send_shared(near.as_fd(), &bytes, part.clone(), SEND);
    let mut completions = Vec::new();
    ring.poll(&mut completions).unwrap();
    assert_eq!((completions.len(), Arc::strong_count(&bytes)), (0, 2));
    let reader = thread::spawn(move || {
        let mut read = vec![0; (4 << 20) - 5];
        far.read_exact(&mut read).map(|()| read)
    });
    let sent = last_of(&mut ring, SEND);
    assert_eq!(sent.result, Ok(u32::try_from(part.len()).unwrap()));
    assert_eq!(Arc::strong_count(&bytes), 1);
    assert_eq!(reader.join().unwrap().unwrap(), bytes[part]);
}

#[test]
fn one_accept_takes_many_connections() {
    let mut ring = ring();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    ring.accept_multishot(listener.as_fd(), ACCEPT);
    let address = listener.local_addr().unwrap();
    let clients = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>();
    let mut accepted = 0;
    let all = until(&mut ring, |_| {
        accepted += 1;
        accepted == clients.len()
    });
    assert!(all.iter().all(|completion| completion.accepted.is_some() && completion.more));
}

#[test]
fn a_receive_without_buffers_ends_and_goes_on_after_recycling() {
    let mut ring = ring_of(8, 2, 4);
    let (near, mut far) = pair();
    far.write_all(b"0123456789ab").unwrap();
    ring.recv_multishot(near.as_fd(), RECEIVE);
    let mut starved = until(&mut ring, Completion::is_out_of_buffers);
    let last = starved.pop().unwrap();
    assert_eq!((last.result, last.more, last.buffer), (Err(Errno::NOBUFS), false, None));
    assert_eq!((ring.buffers_lent(), ring.counters().out_of_buffers), (2, 1));

    let mut bytes = Vec::new();
    starved.into_iter().for_each(|completion| bytes.extend(take_bytes(&mut ring, completion)));
    assert_eq!(bytes, b"01234567");
    ring.recv_multishot(near.as_fd(), RECEIVE);
    let received = until(&mut ring, |completion| completion.token == RECEIVE).remove(0);
    assert_eq!(take_bytes(&mut ring, received), b"89ab");
}

#[test]
fn a_single_receive_takes_one_buffer_and_leaves_the_rest() {
    let mut ring = ring_of(8, 8, 4);
    let (near, mut far) = pair();
    far.write_all(b"abcdefghij").unwrap();
    for due in [&b"abcd"[..], b"efgh", b"ij"] {
        ring.recv(near.as_fd(), RECEIVE);
        let received = last_of(&mut ring, RECEIVE);
        assert_eq!(take_bytes(&mut ring, received), due);
    }
    drop(far);
    ring.recv(near.as_fd(), RECEIVE);
    assert_eq!(last_of(&mut ring, RECEIVE).result, Ok(0));
}

#[test]
fn a_big_send_goes_out_whole() {
    let mut ring = ring();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (connection, _) = listener.accept().unwrap();
    let bytes = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    let expected = bytes.clone();
    let reader = thread::spawn(move || {
        let mut received = Vec::new();
        client.read_to_end(&mut received).map(|_| received)
    });
    ring.send(connection.as_fd(), bytes, SEND);
    let sent = last_of(&mut ring, SEND);
    assert_eq!(sent.result, Ok(8 << 20));
    assert_eq!(sent.returned.unwrap().len(), 8 << 20);
    ring.shutdown(connection.as_fd(), Shutdown::Both);
    ring.poll(&mut Vec::new()).unwrap();
    assert!(reader.join().unwrap().unwrap() == expected);
}

#[test]
fn a_send_to_a_peer_that_leaves_midway_ends_short_and_gives_the_bytes_back() {
    let mut ring = ring();
    let (near, mut far) = pair();
    let bytes = vec![1; 8 << 20];
    let address = bytes.as_ptr();
    ring.send(near.as_fd(), bytes, SEND);
    ring.poll(&mut Vec::new()).unwrap();
    far.read_exact(&mut [0; 1024]).unwrap();
    drop(far);
    let ended = last_of(&mut ring, SEND);
    assert!(ended.result.unwrap_or(0) < 8 << 20, "{:?}", ended.result);
    let returned = ended.returned.unwrap();
    assert_eq!((returned.as_ptr(), returned.len()), (address, 8 << 20));
    // The next send is refused, without a signal that would end this process.
    ring.send(near.as_fd(), vec![1], SEND);
    assert_eq!(last_of(&mut ring, SEND).result, Err(Errno::PIPE));
}

#[test]
fn a_cancelled_receive_ends_once_and_leaves_others_alone() {
    const OTHER: Token = Token::new(2, 8, 1);
    let mut ring = ring();
    let (near, _far) = pair();
    let (other, mut other_far) = pair();
    ring.recv_multishot(near.as_fd(), RECEIVE);
    ring.recv_multishot(other.as_fd(), OTHER);
    ring.poll(&mut Vec::new()).unwrap();
    ring.cancel(RECEIVE);
    let ended = last_of(&mut ring, RECEIVE);
    // Before Linux 6.5 a cancelled receive may say that there were no buffers.
    assert!([Errno::CANCELED, Errno::NOBUFS].map(Err).contains(&ended.result));
    assert_eq!(ring.operations_in_flight(), 1);
    other_far.write_all(b"still here").unwrap();
    let received = until(&mut ring, |completion| completion.token == OTHER).remove(0);
    assert_eq!(take_bytes(&mut ring, received), b"still here");
}

#[test]
fn a_cancel_of_a_stalled_send_gives_its_bytes_back() {
    let mut ring = ring();
    let (near, _far) = pair();
    ring.send(near.as_fd(), vec![0; 8 << 20], SEND);
    ring.poll(&mut Vec::new()).unwrap();
    ring.cancel(SEND);
    let ended = last_of(&mut ring, SEND);
    assert!(ended.result.unwrap_or(0) < 8 << 20, "{:?}", ended.result);
    assert_eq!(ended.returned.unwrap().len(), 8 << 20);
}

#[test]
fn a_cancel_of_nothing_is_silent() {
    let mut ring = ring();
    ring.cancel(RECEIVE);
    assert_eq!(ring.wait(Some(1_000_000), &mut Vec::new()), Ok(0));
    assert_eq!((ring.operations_in_flight(), ring.counters().unheeded), (0, 0));
}

#[test]
fn a_wait_with_nothing_to_come_returns_after_its_time() {
    let mut ring = ring();
    let start = Instant::now();
    assert_eq!(ring.wait(Some(20_000_000), &mut Vec::new()), Ok(0));
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn an_idle_poll_makes_no_system_call() {
    let mut ring = ring();
    let (near, _far) = pair();
    ring.recv_multishot(near.as_fd(), RECEIVE);
    let mut completions = Vec::new();
    ring.poll(&mut completions).unwrap();
    let before = ring.enters();
    for _ in 0..1000 {
        ring.poll(&mut completions).unwrap();
    }
    assert_eq!((ring.enters(), completions.len()), (before, 0));
}

#[test]
fn an_eventfd_wakes_a_sleeping_ring_each_time() {
    let mut ring = ring();
    let wake = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    for _ in 0..3 {
        ring.read_u64(wake.as_fd(), WAKE);
        let remote = wake.try_clone().unwrap();
        let waker = thread::spawn(move || rustix::io::write(remote, &1_u64.to_ne_bytes()));
        let woken = last_of(&mut ring, WAKE);
        assert_eq!((woken.result, woken.returned), (Ok(8), None));
        assert_eq!(waker.join().unwrap(), Ok(8));
    }
}

#[test]
fn no_operation_is_lost_when_far_more_are_started_than_the_queue_holds() {
    let mut ring = ring_of(2, 8, 64);
    let pairs = (0..500).map(|_| pair()).collect::<Vec<_>>();
    for ((near, _), index) in pairs.iter().zip(0..) {
        ring.send(near.as_fd(), vec![9; 10], Token::new(3, index, 0));
    }
    let mut ended = 0;
    let all = until(&mut ring, |_| {
        ended += 1;
        ended == pairs.len()
    });
    let mut indexes = all.iter().map(|completion| completion.token.index()).collect::<Vec<_>>();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..500));
    assert!(all.iter().all(|completion| completion.result == Ok(10)));
}

#[test]
fn completions_beyond_the_queue_are_kept_and_counted() {
    let mut ring = ring_of(2, 2, 64);
    let pairs = (0..200).map(|_| pair()).collect::<Vec<_>>();
    for ((near, _), index) in pairs.iter().zip(0..) {
        ring.recv_multishot(near.as_fd(), Token::new(2, index, 0));
    }
    ring.poll(&mut Vec::new()).unwrap();
    pairs.iter().for_each(|(_, far)| far.shutdown(std::net::Shutdown::Both).unwrap());
    let mut ended = 0;
    until(&mut ring, |completion| {
        ended += usize::from(!completion.more);
        ended == pairs.len()
    });
    assert_eq!(ring.operations_in_flight(), 0);
    assert!(ring.counters().overflows > 0);
}

#[test]
fn closing_through_the_ring_ends_the_connection() {
    let mut ring = ring();
    let (near, mut far) = pair();
    ring.close(near);
    ring.poll(&mut Vec::new()).unwrap();
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(ring.counters().unheeded, 0);
}

#[test]
fn a_shutdown_ends_the_receive_of_the_connection() {
    let mut ring = ring();
    let (near, _far) = pair();
    ring.recv_multishot(near.as_fd(), RECEIVE);
    ring.shutdown(near.as_fd(), Shutdown::Both);
    assert_eq!(last_of(&mut ring, RECEIVE).result, Ok(0));
}

#[test]
fn a_receive_on_a_bad_descriptor_is_an_error_of_that_receive_alone() {
    let mut ring = ring();
    let file = tempfile::tempfile().unwrap();
    ring.recv_multishot(file.as_fd(), RECEIVE);
    assert_eq!(last_of(&mut ring, RECEIVE).result, Err(Errno::NOTSOCK));
}

/// Counts in a process of its own: the other tests of this one open and close descriptors too.
#[test]
fn descriptors_are_back_to_the_baseline_after_a_drop() {
    let test = "uring::tests::alone_rings_dropped_in_full_flight_leave_no_descriptor";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads=1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run alone, by the test above"]
fn alone_rings_dropped_in_full_flight_leave_no_descriptor() {
    let before = open_descriptors().unwrap();
    for _ in 0..20 {
        let mut ring = ring();
        let (near, far) = pair();
        let (stalled, stalled_far) = pair();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let wake = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        ring.accept_multishot(listener.as_fd(), ACCEPT);
        ring.recv_multishot(near.as_fd(), RECEIVE);
        ring.send(stalled.as_fd(), vec![0; 8 << 20], SEND);
        ring.read_u64(wake.as_fd(), WAKE);
        ring.poll(&mut Vec::new()).unwrap();
        ring.close(near);
        drop(ring);
        // The kernel has let go of the connection too: its peer sees the end.
        assert_eq!((&far).read(&mut [0; 1]).unwrap(), 0);
        drop((stalled, stalled_far, wake));
    }
    assert_eq!(open_descriptors().unwrap(), before);
}

#[test]
fn a_dropped_ring_ends_thousands_of_operations() {
    let mut ring = ring_of(64, 8, 64);
    let pairs = (0..1500).map(|_| pair()).collect::<Vec<_>>();
    for ((near, _), index) in pairs.iter().zip(0..) {
        ring.recv_multishot(near.as_fd(), Token::new(2, index, 0));
    }
    ring.poll(&mut Vec::new()).unwrap();
    assert_eq!(ring.operations_in_flight(), pairs.len());
    assert!(ring.drain());
    assert_eq!(ring.operations_in_flight(), 0);
}

#[test]
#[should_panic(expected = "is not lent")]
fn a_buffer_of_another_ring_is_refused() {
    let (mut here, there) = (ring(), ring());
    let (near, mut far) = pair();
    here.recv_multishot(near.as_fd(), RECEIVE);
    far.write_all(b"x").unwrap();
    let received = until(&mut here, |completion| completion.token == RECEIVE).remove(0);
    let _ = there.bytes(&received.buffer.unwrap());
}

#[test]
fn errors_that_end_a_ring_say_what_to_do() {
    assert!(RingError::OtherThread.to_string().contains("one thread"));
    assert!(RingError::Enter { errno: Errno::BADF }.to_string().contains("restart"));
}

fn open_descriptors() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}
