//! Requests as a script's clients send them, and bytes that are none.

use cutter_server::limits::AT_ONCE_BYTES_MAX;

use crate::Source;

/// Sizes of outputs: a failure, what is written at once, what has a buffer of its own, and what no
/// connection has room for.
const SIZES: [i32; 6] = [-1, 0, 1, 40, 3_000, 20_000];
/// Inputs of a batch at most.
const INPUTS_MAX: u8 = 12;

const TEXTS: [&str; 6] = ["x", "!", "{\"a\":1}", " 1e400 ", "[1,", "\u{e9}"];
const BODIES: [&str; 6] = [
    "{",
    "{\"input\":[1]}",
    "{\"input_batch\":[[1,2],[3,4],[5]]}",
    "{\"input\":[1,2],\"version\":\"9\"}",
    "{\"input\":[1,2],\"version\":\"1\"}",
    "",
];
const OTHERS: [&str; 8] = [
    "GET /pairs/predict HTTP/1.1\r\nHost: h\r\n\r\n",
    "HEAD /pairs/predict HTTP/1.1\r\nHost: h\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /nobody/predict HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    "POST /p%61irs/predict/ HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n{\"input\":[1,2]}",
    "HEAD /%zz HTTP/1.0\r\n\r\n",
    "BOGUS\r\n\r\n",
    "\r\n",
];
const FIELDS: [&str; 6] = [
    "",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "Content-Encoding: gzip\r\n",
    "Expect: 100-continue\r\nConnection: close\r\n",
    "X: y\r\n",
];

/// The next request of a script, or some bytes.
pub fn request(source: &mut Source<'_>) -> Vec<u8> {
    let form = source.u8();
    let extra = usize::from(form >> 4);
    let fields = FIELDS[extra % FIELDS.len()];
    match form & 15 {
        0..=3 => post("pairs", fields, &format!("{{\"input\":{}}}", pair(source))),
        4 | 5 => {
            let inputs = source.below(INPUTS_MAX) + 1;
            let inputs: Vec<String> = (0..inputs).map(|_| pair(source)).collect();
            post("pairs", fields, &format!("{{\"input_batch\":[{}]}}", inputs.join(",")))
        }
        6 => {
            let text = TEXTS[usize::from(source.u8()) % TEXTS.len()];
            let text = serde_json::to_string(text).expect("text is JSON");
            post("texts", fields, &format!("{{\"input\":{text}}}"))
        }
        7 => post("none", fields, &format!("{{\"input\":{}}}", pair(source))),
        8 => post("pairs", fields, BODIES[usize::from(source.u8()) % BODIES.len()]),
        9 => chunked(fields, &format!("{{\"input\":{}}}", pair(source))),
        10 => post("pairs", fields, &large(source)),
        11 => chunked(fields, &large(source)),
        12 => OTHERS[extra % OTHERS.len()].as_bytes().to_vec(),
        _ => {
            let bytes = usize::from(source.u8());
            source.take(bytes).to_vec()
        }
    }
}

/// An input that the model knows again, and the size of its output.
fn pair(source: &mut Source<'_>) -> String {
    let (identity, size) = (source.u16(), source.u8());
    format!("[{identity},{}]", SIZES[usize::from(size) % SIZES.len()])
}

/// A body that is read in pieces.
fn large(source: &mut Source<'_>) -> String {
    let space = " ".repeat(AT_ONCE_BYTES_MAX + 257 * usize::from(source.u8()));
    format!("{{\"input\":{space}{}}}", pair(source))
}

fn post(application: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /{application}/predict HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {length}\r\n\
         \r\n{body}"
    )
    .into_bytes()
}

fn chunked(fields: &str, body: &str) -> Vec<u8> {
    let (first, second) = body.split_at(body.len() / 2);
    format!(
        "POST /pairs/predict HTTP/1.1\r\nHost: h\r\n{fields}Transfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    )
    .into_bytes()
}
