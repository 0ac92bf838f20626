//! Sockets on which queries are taken, and the one of the control plane.
//!
//! An address in use is tried again for a while: the kernel takes some milliseconds to end the
//! sockets of a server that was killed, and its successor may be quicker than that.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::config::Listen;
use crate::limits::{BIND_PATIENCE_NS, BIND_PAUSE_NS, LISTEN_BACKLOG_DEFAULT, LISTEN_BACKLOG_MAX};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{hint}")]
pub struct ListenError {
    pub address: String,
    #[source]
    pub source: std::io::Error,
    pub hint: &'static str,
}

impl ListenError {
    fn new(address: String, source: std::io::Error) -> Self {
        Self { address, hint: hint(&source), source }
    }
}

/// A bound socket. A Unix socket's file goes away with it.
#[derive(Debug)]
pub struct Listener {
    // Declared first, so that the file is gone before the address is free for another server, whose
    // file it would be.
    _file: Option<SocketFile>,
    pub fd: OwnedFd,
    pub address: Listen,
}

/// Removes the file of a Unix socket when it is dropped, if it is still the same file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and number of the file that was made.
    made: Option<(u64, u64)>,
}

impl SocketFile {
    /// The file that a socket has just been bound to.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), made: identity(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            // Nothing is lost when it is gone already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// How an address is bound that may still be in use.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    pub within: Duration,
    /// Whether to wait no longer, since the server is to end.
    pub is_over: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience").field("within", &self.within).finish_non_exhaustive()
    }
}

impl<'a> Patience<'a> {
    pub fn new(is_over: &'a dyn Fn() -> bool) -> Self {
        Self { within: Duration::from_nanos(BIND_PATIENCE_NS), is_over }
    }

    /// Binds; when the address is in use, again and again.
    pub fn bind<T>(
        &self,
        address: &str,
        mut attempt: impl FnMut() -> std::io::Result<T>,
    ) -> Result<T, ListenError> {
        let until = Instant::now() + self.within;
        let mut is_told = false;
        loop {
            match attempt() {
                Ok(bound) => {
                    if is_told {
                        tracing::info!("{address} is free now");
                    }
                    return Ok(bound);
                }
                Err(error)
                    if error.kind() == std::io::ErrorKind::AddrInUse
                        && Instant::now() < until
                        && !(self.is_over)() =>
                {
                    if !is_told {
                        is_told = true;
                        let within_ms = self.within.as_millis();
                        tracing::info!("{address} is in use; trying again for {within_ms} ms");
                    }
                    std::thread::sleep(Duration::from_nanos(BIND_PAUSE_NS));
                }
                Err(error) => return Err(ListenError::new(address.to_owned(), error)),
            }
        }
    }
}

impl Listener {
    /// Binds an address. What an ended server left of a Unix socket is replaced.
    pub fn bind(address: &Listen, patience: Patience<'_>) -> Result<Listener, ListenError> {
        let name = address.to_string();
        match address {
            Listen::Tcp(tcp) => {
                let fd = patience.bind(&name, || bind_tcp(*tcp))?;
                let failed = |error| ListenError::new(name.clone(), error);
                // Accepted connections inherit it: an answer is one send and must not wait.
                sockopt::set_tcp_nodelay(&fd, true).map_err(|error| failed(error.into()))?;
                let listener = TcpListener::from(fd);
                let bound = listener.local_addr().map_err(failed)?;
                Ok(Listener { _file: None, fd: listener.into(), address: Listen::Tcp(bound) })
            }
            Listen::Unix(path) => {
                let (fd, file) = patience.bind(&name, || bind_unix(path))?;
                Ok(Listener { _file: Some(file), fd, address: address.clone() })
            }
        }
    }

    /// The address of a TCP socket, with the port that it really has.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self.address {
            Listen::Tcp(address) => Some(address),
            Listen::Unix(_) => None,
        }
    }
}

/// A socket that listens on a TCP address.
///
/// `SO_REUSEADDR`: connections of an ended server that still linger in the kernel are no reason to
/// wait; a socket that listens still is. `IPV6_V6ONLY`: an IPv6 address is that and no IPv4 one as
/// well, so that `0.0.0.0` and `[::]` can both be given with one port.
pub fn bind_tcp(address: SocketAddr) -> std::io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog())?;
    Ok(socket)
}

fn bind_unix(path: &Path) -> std::io::Result<(OwnedFd, SocketFile)> {
    remove_stale(path)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile::new(path);
    rustix::net::listen(&socket, backlog())?;
    Ok((socket, file))
}

/// Connections that may wait to be accepted: as many as this system allows. With fewer, those of a
/// burst that find no place try again after a second.
fn backlog() -> i32 {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
    let allowed = allowed.ok().and_then(|text| text.trim().parse().ok());
    allowed.unwrap_or(LISTEN_BACKLOG_DEFAULT).clamp(1, LISTEN_BACKLOG_MAX)
}

/// Removes a socket file on which nobody listens any more; nothing else is ever removed.
pub fn remove_stale(path: &Path) -> std::io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "a file that is not a socket is in the way; remove it or choose another path",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            }
        }
        // It went away meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(std::io::ErrorKind::AddrInUse.into()),
    }
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; stop what listens there or choose another address",
        std::io::ErrorKind::PermissionDenied => {
            "; choose a port above 1023, or a folder that this user may write"
        }
        std::io::ErrorKind::NotFound => "; create the folder first",
        std::io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Patience<'_> = Patience { within: Duration::ZERO, is_over: &|| false };

    #[test]
    fn a_file_that_another_server_has_made_meanwhile_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = Listen::Unix(path.clone());
        let first = Listener::bind(&address, NEVER).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Listener::bind(&address, NEVER).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn an_address_in_use_is_waited_for_until_it_is_free() {
        let taken = Listener::bind(&Listen::Tcp(([127, 0, 0, 1], 0).into()), NEVER).unwrap();
        let address = taken.address.clone();
        let refused = Listener::bind(&address, NEVER).unwrap_err().to_string();
        assert!(refused.contains("stop what listens there"), "{refused}");
        let mut taken = Some(taken);
        let mut attempts = 0;
        let patience = Patience { within: Duration::from_secs(60), is_over: &|| false };
        let Listen::Tcp(tcp) = address else { panic!("it is one of TCP") };
        let bound = patience.bind("here", || {
            attempts += 1;
            if attempts == 3 {
                taken = None;
            }
            bind_tcp(tcp)
        });
        assert!(bound.is_ok());
        assert_eq!(attempts, 3);
    }

    #[test]
    fn whoever_is_to_end_does_not_wait() {
        let taken = Listener::bind(&Listen::Tcp(([127, 0, 0, 1], 0).into()), NEVER).unwrap();
        let patience = Patience { within: Duration::from_secs(3_600), is_over: &|| true };
        assert!(Listener::bind(&taken.address, patience).is_err());
    }
}
