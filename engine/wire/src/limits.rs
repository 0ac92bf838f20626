//! Every limit of the protocols, with its unit in its name: one table. Relations are asserted below
//! it.

use cutter_tensor::limits::RANK_MAX;

cutter_limits::limits! {
    "HTTP" {
        /// Bytes of a request head, from the request line to the empty line, both included. Beyond:
        /// 431.
        HEAD_BYTES_MAX: usize = 16 << 10, "bytes";
        /// Header fields in a request head. Beyond: 431.
        HEADERS_MAX: usize = 64, "fields";
        /// Bytes of a request target (path and query). Beyond: 414.
        TARGET_BYTES_MAX: usize = 4 << 10, "bytes";
        /// Bytes of a request line with its line end: a target, and room for method and version.
        /// Beyond: 414, even though the end of the line has not been seen.
        REQUEST_LINE_BYTES_MAX: usize = TARGET_BYTES_MAX + 64, "bytes";
        /// Empty lines that are forgiven before a request line (some old clients send one after a
        /// body).
        LEADING_EMPTY_LINES_MAX: u8 = 2, "lines";
        /// Hexadecimal digits of a chunk size, leading zeros included.
        CHUNK_SIZE_DIGITS_MAX: u8 = 16, "digits";
        /// Bytes of one chunk's extension, from its first semicolon to the line end.
        CHUNK_EXTENSION_BYTES_MAX: usize = 256, "bytes";
        /// Bytes of all chunk extensions of one body: padding must not outweigh the content.
        CHUNK_EXTENSIONS_BYTES_MAX: usize = 16 << 10, "bytes";
        /// Bytes of the trailer section of a chunked body, with its final empty line. Beyond: 431.
        TRAILERS_BYTES_MAX: usize = 4 << 10, "bytes";
        /// Digits of a `Content-Length` that are read without a heap or a doubt: every `u64` has
        /// fewer.
        CONTENT_LENGTH_DIGITS_MAX: usize = 20, "digits";
        /// Bytes of a head that a connection remembers, to recognise the next one that is like it.
        TEMPLATE_BYTES_MAX: usize = 512, "bytes";
        /// Capacity that a connection keeps for decoded chunked bodies when nothing is being
        /// decoded.
        DECODED_BODY_KEPT_BYTES: usize = 64 << 10, "bytes";
        /// Time from the first byte of a head to its last. Beyond: 408.
        HEAD_TIME_NS: u64 = 5_000_000_000, "ns";
        /// Least rate at which a body must arrive. Below it, once the grace is used up: 408.
        BODY_RATE_BYTES_PER_S: u64 = 1 << 10, "bytes/s";
        /// Time that a body may be behind its least rate: what a client gets at the start, and the
        /// most that it can save up by sending fast.
        BODY_GRACE_NS: u64 = 5_000_000_000, "ns";
        /// Time that a connection with nothing to do is kept. Beyond: closed without a word.
        KEEP_ALIVE_IDLE_NS: u64 = 75_000_000_000, "ns";
    }
    "JSON" {
        /// Levels of arrays and objects within each other in a body.
        JSON_DEPTH_MAX: usize = 127, "levels";
        /// The most characters of a client's number that an error repeats.
        JSON_EXCERPT_CHARS_MAX: usize = 32, "characters";
        /// Bytes of a body that reading may look at beyond its budget, so that it need not stop
        /// within a number, a word or an escape.
        JSON_OVERSHOOT_BYTES_MAX: usize = 64, "bytes";
        /// Bytes that rendering may write beyond its budget: a number, brackets and a comma.
        JSON_RENDER_OVERSHOOT_BYTES_MAX: usize = 64, "bytes";
        /// Bytes of JSON that an `int32` takes at most, with a comma: `-2147483648,`.
        JSON_BYTES_PER_INT32: u64 = 12, "bytes";
        /// Bytes of JSON that a `float32` takes at most, with a comma.
        JSON_BYTES_PER_FLOAT32: u64 = 17, "bytes";
        /// Bytes of JSON that a `float64` takes at most, with a comma.
        JSON_BYTES_PER_FLOAT64: u64 = 25, "bytes";
    }
    "Clipper REST" {
        /// The most bytes of the name of an application or a model, and of a version.
        NAME_BYTES_MAX: usize = 63, "bytes";
        /// The most bytes of the key of a context.
        CONTEXT_KEY_BYTES_MAX: usize = 64, "bytes";
        /// The most numbers of a context vector.
        CONTEXT_NUMBERS_MAX: usize = 16, "numbers";
        /// The largest id of a query: every client's numbers hold it exactly.
        QUERY_ID_MAX: u64 = 1 << f64::MANTISSA_DIGITS, "queries";
        /// Bytes of JSON that a context, label, reward, id or time may be written with.
        JSON_VALUE_BYTES_MAX: usize = 1 << 10, "bytes";
        /// Bytes of JSON of an update beside its input: label, context, their keys and white space.
        JSON_BYTES_PER_UPDATE: usize = 2 * JSON_VALUE_BYTES_MAX + 256, "bytes";
        /// The longest time that a query may ask for with `timeout_us`.
        TIMEOUT_US_MAX: u32 = 60_000_000, "us";
        /// Inputs of one request. Beyond: 400.
        INPUT_BATCH_MAX: usize = 1024, "inputs";
        /// Bytes of a request body, whatever the application. Beyond: 413.
        BODY_BYTES_MAX: usize = 64 << 20, "bytes";
        /// Bytes of a request body that every application takes.
        BODY_BYTES_MIN: usize = 64 << 10, "bytes";
        /// Bytes of a body sent to a path that is not an application's.
        UNROUTED_BODY_BYTES_MAX: usize = 64 << 10, "bytes";
        /// Bytes of JSON that a number of an input may take, its comma and line end included.
        JSON_BYTES_PER_NUMBER: usize = 32, "bytes";
        /// Bytes of JSON that a bracket may take, its comma and line end included.
        JSON_BYTES_PER_BRACKET: usize = 4, "bytes";
        /// Bytes of white space that a line may begin with, for each level of nesting.
        JSON_INDENT_BYTES: usize = 8, "bytes";
        /// Bytes of JSON that a byte of a string may take: `\u0000`.
        JSON_BYTES_PER_STRING_BYTE: usize = 6, "bytes";
        /// Bytes of base64 for three bytes.
        JSON_BYTES_PER_BASE64_GROUP: usize = 4, "bytes";
    }
}

// What is within what.
const _: () = {
    assert!(REQUEST_LINE_BYTES_MAX > TARGET_BYTES_MAX + "OPTIONS  HTTP/1.1\r\n".len());
    assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
    assert!(HEAD_BYTES_MAX <= u16::MAX as usize, "spans inside a head are u16");
    assert!(TEMPLATE_BYTES_MAX + CONTENT_LENGTH_DIGITS_MAX < REQUEST_LINE_BYTES_MAX);
    assert!(CHUNK_EXTENSION_BYTES_MAX <= CHUNK_EXTENSIONS_BYTES_MAX);
    assert!(TRAILERS_BYTES_MAX <= HEAD_BYTES_MAX);
    assert!(HEAD_TIME_NS < KEEP_ALIVE_IDLE_NS && BODY_GRACE_NS < KEEP_ALIVE_IDLE_NS);
    assert!(BODY_BYTES_MIN <= BODY_BYTES_MAX);
    // The arrays of an input are open inside the body's object, a batch's array and an update.
    assert!(RANK_MAX + 3 <= JSON_DEPTH_MAX);
    assert!(CONTEXT_KEY_BYTES_MAX * JSON_BYTES_PER_STRING_BYTE + 2 <= JSON_VALUE_BYTES_MAX);
    assert!(CONTEXT_NUMBERS_MAX * JSON_BYTES_PER_NUMBER + 2 <= JSON_VALUE_BYTES_MAX);
    assert!(JSON_RENDER_OVERSHOOT_BYTES_MAX as u64 > 2 * JSON_BYTES_PER_FLOAT64);
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
