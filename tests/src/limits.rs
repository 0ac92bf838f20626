//! How long the harness waits, and how much it does at a time.

use std::time::Duration;

/// Servers that run at the same time in one test binary.
pub const SERVERS_MAX: usize = 4;
/// How long a server may run before it is killed, and its test fails.
pub const SERVER_TIME: Duration = Duration::from_secs(100);
/// How long a server may take from SIGTERM to its end; longer than its own limit on a drain.
pub const STOP_TIME: Duration = Duration::from_secs(20);
/// How long anything else may take that a test waits for.
pub const WAIT: Duration = Duration::from_secs(30);
/// How long a program that runs to its end may take.
pub const COMMAND_TIME: Duration = Duration::from_secs(60);
/// How long building, or installing a tool, may take.
pub const INSTALL_TIME: Duration = Duration::from_secs(600);
/// Time between two looks at something that is waited for.
pub const POLL: Duration = Duration::from_millis(5);
/// How long a socket of a test's client waits for bytes.
pub const SOCKET_TIME: Duration = Duration::from_secs(20);
/// Bytes that one read of a test's client asks for.
pub const READ_BYTES: usize = 256 << 10;
/// How long a server may take nothing before a client believes that it will not.
pub const REFUSED_AFTER: Duration = Duration::from_secs(1);
/// Bytes that no server may take from a client that takes no answers.
pub const REFUSED_BYTES_MAX: usize = 64 << 20;
/// How often a time is measured that may be disturbed.
pub const MEASUREMENTS: usize = 4;

const _: () = assert!(SOCKET_TIME.as_secs() < SERVER_TIME.as_secs());
