//! Which of the known names somebody probably meant.

use cutter_wire::limits::NAME_BYTES_MAX;
use strsim::osa_distance;

/// The nearest of `known`, when it is near enough to be a slip of the fingers.
pub(super) fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.len() > NAME_BYTES_MAX {
        return None;
    }
    let found = found.to_lowercase();
    let chars = found.chars().count();
    let slips_max = if chars <= 4 { 1 } else { 2 };
    // Something of it must have been right.
    let slips_max = chars.saturating_sub(1).min(slips_max);
    known
        .iter()
        .map(|name| (osa_distance(&found, &name.to_lowercase()), *name))
        .filter(|(edits, _)| *edits <= slips_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested_and_the_nearest_of_several() {
        let known = ["wait", "query", "admin", "cpu", "cpus", "socket"];
        let table = [
            ("waitt", Some("wait")),
            ("qurey", Some("query")),
            ("sokect", Some("socket")),
            ("ADMIN", Some("admin")),
            ("cpus", Some("cpus")),
            ("gpu", Some("cpu")),
            ("dog", None),
            ("x", None),
            ("", None),
        ];
        for (found, expected) in table {
            assert_eq!(nearest(found, &known), expected, "{found:?}");
        }
        assert_eq!(nearest(&"w".repeat(64), &known), None);
    }
}
