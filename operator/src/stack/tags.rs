//! Which tags of a resource came from `spec.tags`, so that those that leave the spec can leave the resource. Pure.
//!
//! Users, cost tools and AWS add tags of their own, which are none of our business. So each resource carries one more tag
//! that notes which keys are the spec's: a few characters of a hash each, because forty keys of 128 characters are more
//! than a tag's value holds.

use sha2::{Digest, Sha256};

use super::name::{Tags, hex};

/// The tag that notes the keys of `spec.tags`.
pub const NOTED_TAG: &str = "sumu.live/tags";
/// The spec has at most 40 tags and a value 256 characters.
const HASH_LENGTH: usize = 6;

/// The tag that notes these keys; nothing when there are none.
#[must_use]
pub fn noted(tags: &Tags) -> Option<(String, String)> {
    let hashes: String = tags.keys().map(|key| hash_of(key)).collect();
    (!hashes.is_empty()).then(|| (NOTED_TAG.to_owned(), hashes))
}

/// The keys of tags that a resource has from an earlier spec and that are not desired any more, the note among them.
#[must_use]
pub fn left(desired: &Tags, found: &Tags) -> Vec<String> {
    let Some(note) = found.get(NOTED_TAG) else { return Vec::new() };
    let is_noted = |key: &str| {
        let hash = hash_of(key);
        note.as_bytes().chunks(HASH_LENGTH).any(|noted| noted == hash.as_bytes())
    };
    let keys = found.keys().filter(|key| !desired.contains_key(*key));
    keys.filter(|key| *key == NOTED_TAG || is_noted(key)).cloned().collect()
}

fn hash_of(key: &str) -> String {
    hex(&Sha256::digest(key)).chars().take(HASH_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(keys: &[&str]) -> Tags {
        keys.iter().map(|key| ((*key).to_owned(), "value".to_owned())).collect()
    }

    fn with_note(keys: &[&str]) -> Tags {
        tags(keys).into_iter().chain(noted(&tags(keys))).collect()
    }

    #[test]
    fn only_what_the_spec_had_and_has_no_more_is_left() {
        let found: Tags = with_note(&["team", "stage"]).into_iter().chain(tags(&["cost", "aws:made-by"])).collect();
        assert_eq!(left(&with_note(&["stage"]), &found), ["team"]);
        assert_eq!(left(&with_note(&["stage", "team"]), &found), [""; 0]);
        assert_eq!(left(&Tags::new(), &found), ["stage", NOTED_TAG, "team"]);
    }

    #[test]
    fn nothing_is_left_where_nothing_was_noted() {
        assert_eq!(left(&with_note(&["stage"]), &tags(&["team", "stage"])), [""; 0]);
        assert_eq!(noted(&Tags::new()), None);
    }

    #[test]
    fn the_note_of_as_many_tags_as_a_spec_may_have_fits_into_a_value() {
        let many: Tags = (0..40).map(|at| (format!("{at:0128}"), String::new())).collect();
        let (_, note) = noted(&many).unwrap();
        assert!(note.len() <= 256, "{} characters", note.len());
        let found = many.clone().into_iter().chain(noted(&many)).collect();
        assert_eq!(left(&Tags::new(), &found).len(), 41);
    }
}
