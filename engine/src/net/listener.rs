//! Sockets on which queries are taken.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt;

use crate::config::Listen;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{hint}")]
pub struct ListenError {
    pub address: String,
    #[source]
    pub source: std::io::Error,
    pub hint: &'static str,
}

/// A bound socket. A Unix socket's file goes away with it.
#[derive(Debug)]
pub struct Listener {
    pub fd: OwnedFd,
    pub address: Listen,
    _file: Option<SocketFile>,
}

/// Removes the file of a Unix socket when it is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl SocketFile {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nothing is lost when it is gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds an address. What an ended server left of a Unix socket is replaced.
    pub fn bind(address: &Listen) -> Result<Listener, ListenError> {
        let failed = |source: std::io::Error| ListenError {
            address: address.to_string(),
            hint: hint(&source),
            source,
        };
        match address {
            Listen::Tcp(tcp) => {
                let listener = TcpListener::bind(tcp).map_err(failed)?;
                // Accepted connections inherit it: an answer is one send and must not wait.
                sockopt::set_tcp_nodelay(&listener, true).map_err(|error| failed(error.into()))?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok(Listener { fd: listener.into(), address: Listen::Tcp(bound), _file: None })
            }
            Listen::Unix(path) => {
                remove_stale(path).map_err(failed)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = Some(SocketFile::new(path));
                Ok(Listener { fd: listener.into(), address: address.clone(), _file: file })
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
            std::fs::remove_file(path)
        }
        _ => Err(std::io::ErrorKind::AddrInUse.into()),
    }
}

pub fn hint(error: &std::io::Error) -> &'static str {
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
