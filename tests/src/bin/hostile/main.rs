//! A container that attacks the engine, in the way that its argument names.
//!
//! ```text
//!   with a batch in hand, every batch:
//!     item-count, generation, slot, status, length, short, reserved, item, stamp    one field is
//!                wrong
//!     twice      completes it well, and then again
//!     unasked    completes a batch that it was never given, beside a good one
//!     garbage    fills all that it can write with noise, for ever
//!     abort      dies          freeze    stops itself
//!   without one:
//!     flood      rings the doorbell for ever            talk       says ready twice
//!     smuggle    sends descriptors along with its words
//!   in the handshake:
//!     mute, not-ready, gibberish, future, leave
//!     hollow     declares outputs of many dimensions that hold nothing
//!   otherwise good:
//!     honest     seals     attacks the seals first, and prints what came of each attack
//!     holes      punches holes into its own memory all the time
//!     deaf       does not end when it is asked to       noisy      prints more than anyone reads
//! ```

mod peer;
mod seals;

use std::io::{IoSlice, Result, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use cutter_protocol::entry::{Completion, ITEM_OK, ItemEntry, Submission, Ticket};
use cutter_protocol::wire::{SPEC_EXACT, WireHello};
use peer::{Peer, hello, say, socket};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Signal, getpid, kill_process};

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match run(&mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostile {mode}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: &str) -> Result<()> {
    match mode {
        "mute" => {
            let _socket = socket()?;
            sleep_for_ever()
        }
        "gibberish" => {
            let socket = socket()?;
            say(&socket, &[0xA5; 300])?;
            sleep_for_ever()
        }
        "future" => {
            let socket = socket()?;
            let hello = WireHello { abi_major: 77, ..hello() };
            say(&socket, bytemuck::bytes_of(&hello))?;
            sleep_for_ever()
        }
        "hollow" => {
            let socket = socket()?;
            let mut hello = hello();
            let spec = &mut hello.output.tensors[0].spec;
            (spec.extent, spec.rank) = (SPEC_EXACT, 2);
            spec.dims[0] = u32::MAX;
            say(&socket, bytemuck::bytes_of(&hello))?;
            sleep_for_ever()
        }
        "leave" => {
            eprintln!("the weights are missing");
            std::process::exit(3)
        }
        "not-ready" => {
            let _peer = Peer::join()?;
            sleep_for_ever()
        }
        _ => serve(mode, Peer::join()?),
    }
}

fn serve(mode: &str, mut peer: Peer) -> Result<()> {
    if mode == "seals" {
        seals::attack(&peer, &mut std::io::stdout())?;
    }
    peer.say_ready()?;
    match mode {
        "flood" => loop {
            peer.ring();
        },
        "talk" => peer.say_ready()?,
        "smuggle" => smuggle(&peer)?,
        "holes" => punch_for_ever(&peer)?,
        "noisy" => std::thread::spawn(print_for_ever).thread().unpark(),
        _ => {}
    }
    while let Some(submission) = peer.next() {
        answer(mode, &mut peer, &submission);
    }
    if mode == "deaf" { sleep_for_ever() } else { Ok(()) }
}

/// Completes a batch, or does whatever this container does instead.
fn answer(mode: &str, peer: &mut Peer, submission: &Submission) {
    let good = peer.honest(submission);
    let Ticket { slot, generation } = good.ticket;
    let bad = match mode {
        "item-count" => Completion { item_count: good.item_count + 1, ..good },
        "generation" => {
            let ticket = Ticket { slot, generation: generation.wrapping_sub(1) };
            Completion { ticket, ..good }
        }
        "slot" => Completion { ticket: Ticket { slot: u32::MAX, generation }, ..good },
        "status" => Completion { status: 7, ..good },
        "length" => Completion { output_bytes: u64::MAX, ..good },
        "short" => Completion { output_bytes: good.output_bytes - 1, ..good },
        "reserved" => Completion { reserved_word: 1, ..good },
        "item" => {
            let entry = ItemEntry { status: ITEM_OK, message_bytes: 0, bytes_or_offset: u32::MAX };
            peer.set_item(slot, 0, entry);
            Completion { flags: 0, ..good }
        }
        "stamp" => Completion { stamp: good.stamp + 1, ..good },
        "twice" => {
            peer.publish(good);
            peer.honest(submission)
        }
        "unasked" => {
            let ticket = Ticket { slot: 1 - slot, generation };
            Completion { ticket, ..good }
        }
        "garbage" => scribble(peer),
        "abort" => std::process::abort(),
        "freeze" => {
            // It goes on from here when somebody says so, and completes the batch.
            let _ = kill_process(getpid(), Signal::STOP);
            good
        }
        _ => good,
    };
    peer.publish(bad);
}

/// Noise over everything, beginning with the ring that the engine reads.
fn scribble(peer: &mut Peer) -> ! {
    let mut noise: u64 = 0x9E37_79B9_7F4A_7C15;
    loop {
        for mapping in [&mut peer.completions, &mut peer.outputs] {
            for word in 0..mapping.words {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                mapping.store(word * size_of::<u64>(), noise);
            }
        }
        peer.ring();
    }
}

/// Sends descriptors that nobody asked for, as many as fit into a message, in every message.
fn smuggle(peer: &Peer) -> Result<()> {
    let descriptors = [peer.control.as_fd(); 64];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    for _ in 0..16 {
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&peer.socket, &[IoSlice::new(b"take these")], &mut ancillary, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Gives the pages of its own segments back, again and again, while it serves.
fn punch_for_ever(peer: &Peer) -> Result<()> {
    let segments = peer.own_segments()?;
    std::thread::spawn(move || {
        for (segment, bytes) in segments.iter().cycle() {
            let flags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);
            // Not to do so would be as well.
            let _ = fallocate(segment, flags, 0, *bytes as u64);
            std::thread::sleep(Duration::from_micros(50));
        }
    });
    Ok(())
}

fn print_for_ever() {
    let long = [b'x'; 1 << 16];
    let mut stdout = std::io::stdout().lock();
    // Lines without end, lines without sense, lines without number.
    let _ = stdout.write_all(&long);
    while stdout.write_all(b"\n\xFF\xFE\x1B[31m noise \0").is_ok() {}
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
