//! Dictionaries in libFuzzer's notation, so that both drivers use the same: one word a line, in
//! quotes, with `\\`, `\"` and `\xAB` inside; empty lines, and comments that begin with `#`.

/// The words of a dictionary.
///
/// # Panics
/// When a line is none of these. Dictionaries are part of the source.
pub fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let lines = dictionary.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| word(line).unwrap_or_else(|| panic!("{line} is no word"))).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    while let Some((plain, escape)) = rest.split_once('\\') {
        word.extend_from_slice(plain.as_bytes());
        let (byte, behind) = match escape.as_bytes().first()? {
            b'x' => (u8::from_str_radix(escape.get(1..3)?, 16).ok()?, escape.get(3..)?),
            byte @ (b'\\' | b'"') => (*byte, escape.get(1..)?),
            _ => return None,
        };
        word.push(byte);
        rest = behind;
    }
    word.extend_from_slice(rest.as_bytes());
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;

    #[test]
    fn words_mean_what_libfuzzer_reads_in_them() {
        let text = "# a comment\n\n\"plain\"\n  \"\\x0D\\x0a\\\\\\\"a\"\n";
        assert_eq!(words(text), [&b"plain"[..], b"\r\n\\\"a"]);
    }

    #[test]
    fn every_dictionary_is_read() {
        assert!(TARGETS.iter().all(|target| !words(target.dictionary).is_empty()));
    }
}
