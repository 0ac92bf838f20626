//! The status codes that Cutter answers with.

/// Declares them: name, code, reason phrase.
macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal,)+) => {
        /// A status code and its reason phrase.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Status {
            $($name = $code,)+
        }

        impl Status {
            /// Every status, in the order of their codes.
            pub const ALL: &[Status] = &[$(Self::$name,)+];

            /// The status line with its line end. A whole line each, so that writing one is one
            /// copy.
            pub const fn line(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n"),)+
                }
            }
        }
    };
}

statuses! {
    Ok = 200 "OK",
    Accepted = 202 "Accepted",
    NoContent = 204 "No Content",
    BadRequest = 400 "Bad Request",
    NotFound = 404 "Not Found",
    MethodNotAllowed = 405 "Method Not Allowed",
    RequestTimeout = 408 "Request Timeout",
    Conflict = 409 "Conflict",
    ContentTooLarge = 413 "Content Too Large",
    UriTooLong = 414 "URI Too Long",
    UnsupportedMediaType = 415 "Unsupported Media Type",
    ExpectationFailed = 417 "Expectation Failed",
    TooManyRequests = 429 "Too Many Requests",
    HeaderFieldsTooLarge = 431 "Request Header Fields Too Large",
    InternalServerError = 500 "Internal Server Error",
    NotImplemented = 501 "Not Implemented",
    ServiceUnavailable = 503 "Service Unavailable",
    GatewayTimeout = 504 "Gateway Timeout",
    VersionNotSupported = 505 "HTTP Version Not Supported",
}

impl Status {
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Whether something went wrong, here or at the client.
    pub const fn is_error(self) -> bool {
        self.code() >= 400
    }

    /// Whether an answer has content, and so a length and a type. One that cannot have any must
    /// not say how long it is (RFC 9110 8.6).
    pub const fn has_content(self) -> bool {
        !matches!(self, Self::NoContent)
    }
}
