//! Streams to test with: good, bad, and broken at random.

use proptest::prelude::*;
use proptest::sample::Index;

/// Streams of one or more requests that each exercise one rule, most of them broken ones.
pub(super) const TABLE: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a?x=1 HTTP/1.1\r\nHost: a:80\r\n\r\nHEAD /b HTTP/1.1\r\nhost:\ta \t\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
     GET /q HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST /p HTTP/1.1\r\nHost: a\r\n\
     Content-Length: 12\r\n\r\nhello, worldPOST /p HTTP/1.1\r\nHost: a\r\n\
     Content-Length: 1x\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
     5\r\nhello\r\n6;x=\"a\\\"b;\"\r\n world\r\n000\r\nA: b\r\nC:\r\n\r\n\
     GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n\
     3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\nGET /unseen HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\nabc",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked ,\r\n\r\n\
     2 ;a\t= \"\\\"\" ;b\r\nhi\r\n0;c\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;\r\nhi\r\n0\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"c\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\0\r\n\
     GET http://h HTTP/1.1\r\nHost: h\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: ,\r\n\r\nSSH-2.0-x\r\n",
    "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
    "GET httpx://a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02",
    "\nGET / HTTP/1.1\r\n",
    "\rGET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\0\0\0",
];

fn framing_and_body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let body = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        Just((String::new(), Vec::new())),
        body().prop_map(|body| (format!("Content-Length: {}\r\n", body.len()), body)),
        chunked(body()).prop_map(|bytes| ("Transfer-Encoding: chunked\r\n".to_owned(), bytes)),
    ]
}

/// A body in chunks of its own lengths, with an extension and a trailer now and then.
fn chunked(body: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let extension = prop_oneof![4 => Just(""), 1 => Just(";a=b"), 1 => Just(" ;q\t=\"\\\";\" ;r")];
    let trailer = prop_oneof![3 => Just(""), 1 => Just("Sum: 1\r\n")];
    (body, 1usize..20, extension, trailer)
        .prop_map(|(body, chunk, extension, trailer)| encode(&body, chunk, extension, trailer))
}

/// `body` in chunks of `chunk` bytes.
pub(super) fn encode(body: &[u8], chunk: usize, extension: &str, trailer: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for data in body.chunks(chunk) {
        bytes.extend_from_slice(format!("{:X}{extension}\r\n", data.len()).as_bytes());
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("0{extension}\r\n{trailer}\r\n").as_bytes());
    bytes
}

/// A request that is right.
pub(super) fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("GET / HTTP/1.1\r\nHost: a\r\n"),
        Just("POST /digits/predict HTTP/1.1\r\nHost: a\r\n"),
        Just("POST /p?a=b HTTP/1.1\r\nhost: [::1]:80\r\nConnection: keep-alive\r\n"),
        Just("OPTIONS * HTTP/1.1\r\nHost:\r\n"),
        Just("\r\nPATCH http://h/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"),
    ];
    let accept = prop_oneof![Just(""), Just("Accept: */*\r\n")];
    (line, framing_and_body(), accept).prop_map(|(line, (framing, body), accept)| {
        let mut bytes = format!("{line}{framing}{accept}\r\n").into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    })
}

/// A byte that means something to some rule, put in place of another or between two.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    at: Index,
    byte: u8,
    insert: bool,
}

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let at = self.at.index(bytes.len());
        bytes.splice(at..at + usize::from(!self.insert), [self.byte]);
    }
}

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    let byte = proptest::sample::select(&b"\r\n\0\t :;,\"\\/?*#0159afGPHx\x7f\x80\xff"[..]);
    (any::<Index>(), byte, any::<bool>()).prop_map(|(at, byte, insert)| Damage { at, byte, insert })
}

/// Some requests in a row, often with a little damage.
pub(super) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let damages = prop_oneof![
        2 => Just(Vec::new()),
        3 => proptest::collection::vec(damage(), 1..4),
    ];
    (proptest::collection::vec(request(), 1..5), damages).prop_map(|(requests, damages)| {
        let mut bytes = requests.concat();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
}
