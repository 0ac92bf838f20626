//! Whom a prediction is for, and whether it is explained.

use super::*;

const ONE: &str = "\"input\":1";

/// What a body says beside its input.
fn asked(text: &str) -> Result<(Context<'_>, bool), String> {
    let read = read(text.as_bytes(), TensorSpec::scalar(F32));
    read.map(|(body, _)| (body.context, body.explain)).map_err(|error| error.to_string())
}

fn key(text: &str) -> Context<'_> {
    Context::Key(text.into())
}

/// The numbers of a vector; none of anything else.
fn numbers(text: &str) -> Vec<f64> {
    match asked(text) {
        Ok((Context::Vector(vector), _)) => vector.numbers().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_context_is_known_by_a_text_or_by_a_whole_number_as_it_is_written() {
    let cases = [
        (r#"{"uid":17,"input":1}"#, key("17")),
        (r#"{"input":1,"context":-0}"#, key("-0")),
        (r#"{"input":1,"context" : 12345678901234567890123 }"#, key("12345678901234567890123")),
        (r#"{"uid":"ann","input":1}"#, key("ann")),
        (r#"{"context":"\u00e9\n","input":1}"#, key("é\n")),
        (r#"{"context":"","input":1}"#, Context::None),
        (r#"{"input":1}"#, Context::None),
    ];
    for (body, context) in cases {
        assert_eq!(asked(body), Ok((context, false)), "{body}");
    }
}

#[test]
fn a_key_may_have_64_bytes_of_what_it_means() {
    let (fits, escaped) = ("k".repeat(64), "\\u006b".repeat(64));
    let body = |key: &str| format!("{{\"context\":{key},{ONE}}}");
    for text in [format!("\"{fits}\""), format!("\"{escaped}\"")] {
        assert_eq!(asked(&body(&text)), Ok((key(&fits), false)));
    }
    assert_eq!(asked(&body(&"9".repeat(64))), Ok((key(&"9".repeat(64)), false)));
    let long = [format!("\"{fits}k\""), format!("\"{escaped}k\""), "9".repeat(65)];
    let expected = "line 1, column 12: the key of a context in \"context\" has 65 bytes; it may \
                    have 64";
    for text in long {
        assert_eq!(asked(&body(&text)), Err(expected.to_owned()));
    }
    let expected = "line 1, column 12: \"context\" is written with 10242 bytes; no more than 1024 \
                    are read";
    let long = format!("\"{}\"", "k".repeat(10 << 10));
    assert_eq!(asked(&body(&long)), Err(expected.to_owned()));
}

#[test]
fn a_vector_has_up_to_16_numbers_each_of_which_a_double_holds() {
    assert_eq!(numbers(r#"{"context":[1],"input":1}"#), [1.0]);
    assert_eq!(numbers(r#"{"input":1,"context":[ 0.1 ,-2e3,5e-324 ]}"#), [0.1, -2e3, 5e-324]);
    let exact = "0.1000000000000000055511151231257827";
    assert_eq!(numbers(&format!("{{\"context\":[{exact}],{ONE}}}")), [0.1]);
    let of = |count: usize| format!("{{\"context\":[{}],{ONE}}}", vec!["2"; count].join(","));
    assert_eq!(numbers(&of(16)), [2.0; 16]);
    for count in [0, 17] {
        let expected = format!(
            "line 1, column 12: the vector in \"context\" has {count} numbers; it takes 1 to 16"
        );
        assert_eq!(asked(&of(count)), Err(expected));
    }
}

#[test]
fn what_is_no_context_and_no_flag_is_refused_where_it_stands() {
    let cases = [
        (
            r#"{"uid":1.5,"input":1}"#,
            "line 1, column 8: \"uid\" has to be a string or a whole number",
        ),
        (
            r#"{"uid":[1],"input":1}"#,
            "line 1, column 8: \"uid\" has to be a string or a whole number",
        ),
        (
            "{\"input\":1,\n \"context\" : null}",
            "line 2, column 14: \"context\" has to be a string, a whole number or an array of \
             numbers",
        ),
        (
            r#"{"context":[1,"2,3"],"input":1}"#,
            "line 1, column 15: \"context\" has to be numbers alone in an array",
        ),
        (
            r#"{"context":[[1,2]],"input":1}"#,
            "line 1, column 13: \"context\" has to be numbers alone in an array",
        ),
        (
            r#"{"context":[1, 1e309],"input":1}"#,
            "line 1, column 16: \"context\" has 1e309, which is more than a double can hold",
        ),
        (r#"{"context":[NaN],"input":1}"#, "line 1, column 13: found 'N', expected a value"),
        (r#"{"uid":1,"uid":1,"input":1}"#, "line 1, column 10: \"uid\" is given twice"),
        (
            r#"{"uid":1,"context":1,"input":1}"#,
            "line 1, column 10: both \"uid\" and \"context\" are given; send one of them",
        ),
        (r#"{"explain":1,"input":1}"#, "line 1, column 12: \"explain\" has to be true or false"),
        (
            r#"{"explain":true,"input":1,"explain":true}"#,
            "line 1, column 27: \"explain\" is given twice",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(asked(body), Err(expected.to_owned()), "{body}");
    }
}

#[test]
fn an_explanation_is_asked_for_with_true() {
    assert_eq!(asked(r#"{"explain":true,"input":1}"#), Ok((Context::None, true)));
    assert_eq!(asked(r#"{"input":1,"explain" : false }"#), Ok((Context::None, false)));
}
