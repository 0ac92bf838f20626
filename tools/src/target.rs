//! Where requests go: `http://HOST:PORT/PATH` or `unix:SOCKET:/PATH`.

use std::fmt::{self, Display, Formatter};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// Why text names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error(
        "{text:?} is no target; write http://HOST:PORT/PATH or unix:SOCKET:/PATH, for example \
         http://127.0.0.1:1337/digits/predict"
    )]
    Form { text: String },
    #[error("{text:?} asks for TLS, which this tool does not speak; give an http:// target")]
    Tls { text: String },
    #[error("the host {host:?} has no address: {why}")]
    Host { host: String, why: String },
    #[error("the path {path:?} has a byte that a request line cannot hold; percent-encode it")]
    Path { path: String },
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A server and a path on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: Address,
    /// For the `Host` field.
    pub host: String,
    /// Begins with `/`; may have a query.
    pub path: String,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let form = || TargetError::Form { text: text.to_owned() };
        if text.starts_with("https://") {
            return Err(TargetError::Tls { text: text.to_owned() });
        }
        let target = if let Some(rest) = text.strip_prefix("http://") {
            let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
            if host.is_empty() {
                return Err(form());
            }
            Self { address: Address::Tcp(resolve(host)?), host: host.into(), path: path.into() }
        } else if let Some(rest) = text.strip_prefix("unix:") {
            let (socket, path) =
                rest.split_once(":/").map_or((rest, ""), |(socket, path)| (socket, path));
            if socket.is_empty() {
                return Err(form());
            }
            let path = format!("/{path}");
            Self { address: Address::Unix(socket.into()), host: "localhost".into(), path }
        } else {
            return Err(form());
        };
        if target.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(target)
        } else {
            Err(TargetError::Path { path: target.path })
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(_) => write!(f, "http://{}{}", self.host, self.path),
            Address::Unix(socket) => write!(f, "unix:{}:{}", socket.display(), self.path),
        }
    }
}

fn resolve(host: &str) -> Result<SocketAddr, TargetError> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
    let refused = |why: String| TargetError::Host { host: host.to_owned(), why };
    let mut addresses = with_port.to_socket_addrs().map_err(|error| refused(error.to_string()))?;
    addresses.next().ok_or_else(|| refused("none was found".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_alike() {
        for text in ["http://127.0.0.1:1337/digits/predict", "unix:/tmp/a.sock:/sums/predict?x=1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let bare: Target = "http://127.0.0.1:80".parse().unwrap();
        assert_eq!((bare.path.as_str(), bare.host.as_str()), ("/", "127.0.0.1:80"));
        let without_port: Target = "http://127.0.0.1/x".parse().unwrap();
        assert_eq!(without_port.address, Address::Tcp(([127, 0, 0, 1], 80).into()));
        let socket: Target = "unix:here.sock".parse().unwrap();
        assert_eq!(
            (socket.path.as_str(), socket.address),
            ("/", Address::Unix("here.sock".into()))
        );
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_to_write() {
        for text in ["", "localhost:80", "http:///x", "unix:", "ftp://x/"] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains("http://HOST:PORT/PATH"), "{text}: {error}");
        }
        assert!(matches!("https://x/".parse::<Target>(), Err(TargetError::Tls { .. })));
        assert!(matches!(
            "http://127.0.0.1:1/a b".parse::<Target>(),
            Err(TargetError::Path { .. })
        ));
        assert!(matches!(
            "http://127.0.0.1:99999/".parse::<Target>(),
            Err(TargetError::Host { .. })
        ));
    }
}
