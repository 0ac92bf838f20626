use std::fs;
use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

use super::*;
use crate::limits::BODY_BYTES_MAX;

fn target() -> Target {
    "http://127.0.0.1:1337/digits/predict?x=1".parse().unwrap()
}

fn ask(protocol: Protocol, input: &str, options: &BodyOptions) -> Questions {
    build(&target(), protocol, &input.parse().unwrap(), options).unwrap()
}

fn refuse(protocol: Protocol, input: &Input, options: &BodyOptions) -> String {
    build(&target(), protocol, input, options).unwrap_err().to_string()
}

/// The head and the body of one request, after checking that the head tells where the body ends.
fn split(questions: &Questions, index: usize) -> (String, Vec<u8>) {
    let bytes = &questions.slab()[questions.range(index)];
    let mut headers = [httparse::EMPTY_HEADER; 20];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = request.parse(bytes).unwrap().unwrap();
    let body = bytes[head_bytes..].to_vec();
    let lengths: Vec<&[u8]> = request
        .headers
        .iter()
        .filter(|header| header.name == "Content-Length")
        .map(|header| header.value)
        .collect();
    let expected = [body.len().to_string()];
    let expected: Vec<&[u8]> = expected.iter().map(String::as_bytes).take(lengths.len()).collect();
    assert_eq!(lengths, expected);
    assert!(!lengths.is_empty() || body.is_empty());
    (String::from_utf8(bytes[..head_bytes].to_vec()).unwrap(), body)
}

fn json(questions: &Questions, index: usize) -> Value {
    serde_json::from_slice(&split(questions, index).1).unwrap()
}

fn with_header(name: &str, value: &str) -> BodyOptions {
    BodyOptions { headers: vec![(name.to_owned(), value.to_owned())], ..BodyOptions::default() }
}

#[test]
fn digits_are_asked_as_the_demo_asks_them() {
    let questions = ask(Protocol::Clipper, "digits", &BodyOptions::default());
    let digits = Digits::from_bytes(DIGITS_FILE).unwrap();
    assert_eq!(questions.len(), digits.held_out().len());
    for (index, digit) in digits.held_out().enumerate() {
        assert_eq!(questions.label(index), Some(&Label { class: digit.label() }));
    }
    let row = digits.held_out().next().unwrap().row();
    let text: Vec<String> = row.iter().map(|value| format!("{value:.6}")).collect();
    let (head, body) = split(&questions, 0);
    assert_eq!(body, format!("{{\"input\":[{}]}}", text.join(",")).into_bytes());
    let expected = format!(
        "POST /digits/predict?x=1 HTTP/1.1\r\nHost: 127.0.0.1:1337\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(head, expected);
    assert_eq!(questions.request_bytes_mean(), (head.len() + body.len()) as u64);
}

#[test]
fn requests_lie_one_after_another_in_the_slab() {
    let questions = ask(Protocol::Clipper, "int32:3", &BodyOptions::default());
    let ranges: Vec<_> = (0..questions.len()).map(|index| questions.range(index)).collect();
    assert_eq!((ranges.len(), ranges[0].start), (256, 0));
    assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(ranges[255].end, questions.slab().len());
    assert_eq!(questions.label(0), None);
}

#[test]
fn requests_written_elsewhere_are_asked_as_they_are() {
    let requests = [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"POST"].map(<[u8]>::to_vec);
    let questions = Questions::of(&requests);
    let slab = questions.slab();
    let asked = (0..questions.len()).map(|index| slab[questions.range(index)].to_vec());
    assert_eq!(asked.collect::<Vec<_>>(), requests);
    assert_eq!((questions.label(0), questions.is_head()), (None, false));
}

#[test]
fn an_inference_says_what_its_tensor_is() {
    let options = BodyOptions { input_name: "a \"b\"".to_owned(), ..BodyOptions::default() };
    let input = &json(&ask(Protocol::OipJson, "float64:2x3", &options), 0)["inputs"][0];
    assert_eq!(input["name"], "a \"b\"");
    assert_eq!(input["shape"], serde_json::json!([1, 2, 3]));
    assert_eq!(input["datatype"], "FP64");
    assert_eq!(input["data"].as_array().unwrap().len(), 6);
    let options = BodyOptions { batch: false, ..options };
    let input = &json(&ask(Protocol::OipJson, "int64:2x3", &options), 0)["inputs"][0];
    assert_eq!(
        (&input["shape"], &input["datatype"]),
        (&serde_json::json!([2, 3]), &"INT64".into())
    );
}

#[test]
fn a_binary_inference_has_the_same_values_after_its_json() {
    let options = BodyOptions::default();
    let binary = ask(Protocol::OipBinary, "float32:5", &options);
    let text = ask(Protocol::OipJson, "float32:5", &options);
    let raw = ask(Protocol::Raw, "float32:5", &options);
    let (head, body) = split(&binary, 9);
    let (_, length) = head.split_once("Inference-Header-Content-Length: ").unwrap();
    let json_bytes: usize = length.split_once('\r').unwrap().0.parse().unwrap();
    let (description, data) = body.split_at(json_bytes);
    let description: Value = serde_json::from_slice(description).unwrap();
    assert_eq!(description["inputs"][0]["parameters"]["binary_data_size"], 20);
    assert_eq!(description["parameters"]["binary_data_output"], true);
    assert!(head.contains("Content-Type: application/octet-stream\r\n"));
    assert_eq!(split(&raw, 9).1, data);
    let words: Vec<f32> = data.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let values: Vec<f32> =
        serde_json::from_value(json(&text, 9)["inputs"][0]["data"].clone()).unwrap();
    assert_eq!(words, values);
}

#[test]
fn bytes_are_base64_for_clipper() {
    let options = BodyOptions::default();
    let text = json(&ask(Protocol::Clipper, "uint8:7", &options), 3);
    let bytes = base64::engine::general_purpose::STANDARD.decode(text["input"].as_str().unwrap());
    assert_eq!(bytes.unwrap(), split(&ask(Protocol::Raw, "uint8:7", &options), 3).1);
}

#[test]
fn tensors_are_distinct_and_given_again_by_their_seed() {
    let options = BodyOptions::default();
    for element in ["float32", "float64", "int32", "int64", "uint8"] {
        let questions = ask(Protocol::Clipper, &format!("{element}:4"), &options);
        let bodies: HashSet<Vec<u8>> = (0..256).map(|index| split(&questions, index).1).collect();
        assert_eq!(bodies.len(), 256, "{element}");
    }
    let again = ask(Protocol::Clipper, "float32:4", &options);
    assert_eq!(again.slab(), ask(Protocol::Clipper, "float32:4", &options).slab());
    let other = BodyOptions { seed: 1, ..options };
    assert_ne!(again.slab(), ask(Protocol::Clipper, "float32:4", &other).slab());
}

#[test]
fn there_are_no_more_tensors_than_there_can_be() {
    let input = Input::Tensors { element: Element::Uint8, shape: vec![1], distinct: 1_000 };
    let questions = build(&target(), Protocol::Raw, &input, &BodyOptions::default()).unwrap();
    let bodies: HashSet<Vec<u8>> =
        (0..questions.len()).map(|index| split(&questions, index).1).collect();
    assert_eq!(bodies.len(), questions.len());
    assert!((200..=256).contains(&questions.len()), "{}", questions.len());
}

#[test]
fn without_an_input_there_is_no_body() {
    let options = BodyOptions::default();
    let (head, body) = split(&ask(Protocol::Raw, "none", &options), 0);
    assert_eq!(head, "GET /digits/predict?x=1 HTTP/1.1\r\nHost: 127.0.0.1:1337\r\n\r\n");
    assert!(body.is_empty());
    let post = BodyOptions { method: Some("POST".to_owned()), ..options.clone() };
    let (head, _) = split(&ask(Protocol::Raw, "none", &post), 0);
    assert!(head.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{head}");
    let head = BodyOptions { method: Some("HEAD".to_owned()), ..options.clone() };
    assert!(ask(Protocol::Raw, "none", &head).is_head());
    let error = refuse(Protocol::Clipper, &Input::None, &options);
    assert_eq!(error, "the protocol clipper asks with a body and none is given; name an input");
}

#[test]
fn fields_are_added_and_some_replaced() {
    let headers = [("X-A", "b c"), ("host", "other"), ("content-TYPE", "text/plain")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = BodyOptions { headers, close: true, ..BodyOptions::default() };
    let (head, body) = split(&ask(Protocol::Clipper, "int32:1", &options), 0);
    let expected = format!(
        "POST /digits/predict?x=1 HTTP/1.1\r\nHost: other\r\nContent-Type: text/plain\r\n\
         X-A: b c\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(head, expected);
}

#[test]
fn what_would_break_a_head_is_refused() {
    let refuse = |options: &BodyOptions| refuse(Protocol::Clipper, &Input::Digits, options);
    for name in ["", "a b", "a:", "é", "a\r\nb"] {
        assert!(refuse(&with_header(name, "x")).contains("is no name of a header field"), "{name}");
    }
    for value in ["a\r\nb: c", "\n", "\0", "\x7f"] {
        assert!(refuse(&with_header("a", value)).contains("control byte"), "{value:?}");
    }
    for value in ["a\r\nb: c", "\n"] {
        assert!(refuse(&with_header("Host", value)).contains("control byte"), "{value:?}");
    }
    let reserved = ["content-length", "Transfer-Encoding", "connection"];
    for name in reserved {
        assert!(refuse(&with_header(name, "1")).contains("written by this tool itself"), "{name}");
    }
    let twice = BodyOptions {
        headers: [with_header("Host", "a").headers, with_header("host", "b").headers].concat(),
        ..BodyOptions::default()
    };
    assert_eq!(refuse(&twice), "the header field Host is given twice; give it once");
    for method in ["", "GET /x", "A\r\n"] {
        let options = BodyOptions { method: Some(method.to_owned()), ..BodyOptions::default() };
        assert!(refuse(&options).contains("is no method of HTTP"), "{method:?}");
    }
}

#[test]
fn a_file_is_one_body_and_a_folder_one_for_each_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("below")).unwrap();
    fs::write(path("b.json"), "[2]").unwrap();
    fs::write(path("a.json"), "[1]").unwrap();
    fs::write(path("c.json"), "").unwrap();
    let options = BodyOptions::default();
    let one = ask(Protocol::Raw, path("b.json").to_str().unwrap(), &options);
    let (head, body) = split(&one, 0);
    assert_eq!((one.len(), &*body), (1, &b"[2]"[..]));
    assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
    let all = ask(Protocol::Raw, folder.path().to_str().unwrap(), &options);
    let bodies: Vec<Vec<u8>> = (0..all.len()).map(|index| split(&all, index).1).collect();
    assert_eq!(bodies, [&b"[1]"[..], b"[2]", b""]);
    assert!(split(&all, 2).0.contains("\r\nContent-Length: 0\r\n"));
    let below = Input::Folder(path("below"));
    assert!(refuse(Protocol::Raw, &below, &options).contains("has no files"));
    let gone = Input::File(path("gone"));
    assert!(refuse(Protocol::Raw, &gone, &options).contains("cannot be read: No such file"));
}

#[test]
fn malformed_json_is_refused_where_json_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let options = BodyOptions::default();
    for (text, why) in [
        (&b"{\"input\":\n[1,]}"[..], "expected value at line 2 column 4"),
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"\"\xff\"", "invalid utf-8"),
    ] {
        fs::write(&path, text).unwrap();
        let input = Input::File(path.clone());
        for protocol in [Protocol::Clipper, Protocol::OipJson, Protocol::OipBinary] {
            let error = refuse(protocol, &input, &options);
            assert!(error.contains(why), "{error}");
            assert!(error.contains(protocol.name()), "{error}");
        }
        assert_eq!(build(&target(), Protocol::Raw, &input, &options).unwrap().len(), 1);
    }
}

#[test]
fn what_passes_a_limit_is_refused_with_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let options = BodyOptions::default();
    let file = fs::File::create(&path).unwrap();
    file.set_len(BODY_BYTES_MAX as u64 + 1).unwrap();
    let error = refuse(Protocol::Raw, &Input::File(path), &options);
    assert!(error.ends_with("has 67108865 bytes; a body may have 67108864"), "{error}");
    for distinct in [0, BODIES_MAX + 1] {
        let input = Input::Tensors { element: Element::Int32, shape: vec![1], distinct };
        assert!(refuse(Protocol::Raw, &input, &options).contains("ask for 1 to 65536"));
    }
    let error = "uint8:67108865".parse::<Input>().unwrap_err().to_string();
    assert!(error.contains("more than 67108864 bytes"), "{error}");
    let shape = vec![u64::MAX, u64::MAX];
    let input = Input::Tensors { element: Element::Float64, shape, distinct: 1 };
    assert!(refuse(Protocol::Raw, &input, &options).contains("more than 67108864 bytes"));
}

#[test]
fn inputs_are_read_and_written_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = folder.join("Cargo.toml");
    let (folder, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
    for text in ["none", "digits", "float32:784", "int32:4x4", "uint8:1", folder, file] {
        assert_eq!(text.parse::<Input>().unwrap().to_string(), text);
    }
    assert_eq!(file.parse::<Input>().unwrap(), Input::File(file.into()));
    assert_eq!(folder.parse::<Input>().unwrap(), Input::Folder(folder.into()));
    let tensors = Input::Tensors { element: Element::Float64, shape: vec![2, 3], distinct: 256 };
    assert_eq!("float64:2x3".parse::<Input>().unwrap(), tensors);
}

#[test]
fn what_is_no_input_is_refused_with_what_to_write() {
    let error = |text: &str| text.parse::<Input>().unwrap_err();
    for text in ["", "float16:4", "no/such/file", "Digits"] {
        assert!(matches!(error(text), InputError::Unknown { .. }), "{text}");
        assert!(error(text).to_string().contains("float32:784"), "{text}");
    }
    let many = format!("int32:{}1", "1x".repeat(16));
    for text in ["int32:", "int32:0", "int32:4x", "int32:+4", "int32:-1", "int32:4,4", &many] {
        assert!(matches!(error(text), InputError::Shape { .. }), "{text}");
    }
    assert!(matches!(error("/dev/null"), InputError::NoFile { .. }));
}

#[test]
fn protocols_are_known_by_their_names_and_paths() {
    for protocol in Protocol::ALL {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
    }
    let error = "http".parse::<Protocol>().unwrap_err().to_string();
    assert!(error.contains("clipper, oip-json, oip-binary or raw"), "{error}");
    assert_eq!(Protocol::of_path("/digits/predict?x=/infer"), Protocol::Clipper);
    assert_eq!(Protocol::of_path("/v2/models/m/infer"), Protocol::OipJson);
    assert_eq!(Protocol::of_path("/predictions"), Protocol::Raw);
    assert_eq!(Protocol::of_path("/"), Protocol::Raw);
}
