//! Which of the known names somebody probably meant.

use crate::limits::NAME_BYTES_MAX;

/// The nearest of `known`, when it is near enough to be a slip of the fingers.
pub(super) fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.len() > NAME_BYTES_MAX {
        return None;
    }
    let found = found.to_lowercase();
    let slips_max = if found.chars().count() <= 4 { 1 } else { 2 };
    known
        .iter()
        .map(|name| (edits(&found, &name.to_lowercase()), *name))
        .filter(|(edits, _)| *edits <= slips_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// The least number of characters inserted, left out, replaced or swapped with their neighbour.
fn edits(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // Row `i` holds the distances from the first `i` characters of `from` to each start of `to`.
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            let is_swap = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            if is_swap {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_with_a_swap_as_one() {
        let table = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("sofmax", "softmax", 1),
            ("sotfmax", "softmax", 1),
            ("kitten", "sitting", 3),
            ("äb", "ab", 1),
        ];
        for (from, to, expected) in table {
            assert_eq!(edits(from, to), expected, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested_and_the_nearest_of_several() {
        let known = ["wait", "query", "admin", "cpu", "cpus"];
        let table = [
            ("waitt", Some("wait")),
            ("qurey", Some("query")),
            ("ADMIN", Some("admin")),
            ("cpus", Some("cpus")),
            ("gpu", Some("cpu")),
            ("dog", None),
            ("", None),
        ];
        for (found, expected) in table {
            assert_eq!(nearest(found, &known), expected, "{found:?}");
        }
        assert_eq!(nearest(&"w".repeat(64), &known), None);
    }
}
