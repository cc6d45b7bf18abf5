//! What the tags of our API note of its custom domain. Pure.
//!
//! An API mapping carries no tags and is listed by its domain name only, and alias records carry none either. So before
//! one of them is made, our API is tagged with where it will be; the tag goes when the thing is gone. Like that what was
//! made is found again after a crash, and after the spec has changed, without anything being remembered elsewhere.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::name::{Tags, hex};

/// Begin of the tag whose value is a domain name under which the API is mapped.
const DOMAIN: &str = "sumu.live/domain-";
/// Begin of the tag whose value is what the alias records of a domain name point to in a hosted zone.
const ALIAS: &str = "sumu.live/alias-";
/// All that alias records of ours can point to: a tag that says otherwise is not ours and must not lead to a deletion.
const TARGETS: &str = ".execute-api.";

/// The domain names that an API notes, each with the hosted zones of its alias records and what these point to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<String, BTreeMap<String, String>>);

impl Notes {
    /// The notes in an API's tags.
    #[must_use]
    pub fn of(tags: &Tags) -> Self {
        let of = |begin| tags.iter().filter_map(move |(key, value)| Some((key.strip_prefix(begin)?, value)));
        let named = of(DOMAIN).filter(|(hash, name)| *hash == hash_of(name));
        let aliases = |hash: &str| {
            let zone = |key: &str| key.strip_prefix(hash)?.strip_prefix('-').map(ToOwned::to_owned);
            of(ALIAS)
                .filter(|(_, target)| target.contains(TARGETS))
                .filter_map(|(key, target)| Some((zone(key)?, target.clone())))
                .collect()
        };
        Self(named.map(|(hash, name)| (name.clone(), aliases(hash))).collect())
    }

    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a domain name is noted.
    #[must_use]
    pub fn has(&self, domain: &str) -> bool {
        self.0.contains_key(domain)
    }

    /// The domain names that are noted.
    pub fn domains(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// The hosted zones with alias records of a domain name, each with what those point to.
    pub fn zones(&self, domain: &str) -> impl Iterator<Item = (&String, &String)> {
        self.0.get(domain).into_iter().flatten()
    }

    /// What alias records of a domain name point to in a hosted zone.
    #[must_use]
    pub fn target(&self, domain: &str, zone: &str) -> Option<&str> {
        self.0.get(domain)?.get(zone).map(String::as_str)
    }
}

/// The keys of all tags that note something.
#[must_use]
pub fn keys(tags: &Tags) -> Vec<String> {
    tags.keys().filter(|key| key.starts_with(DOMAIN) || key.starts_with(ALIAS)).cloned().collect()
}

/// The tag that notes a domain name.
#[must_use]
pub fn domain(name: &str) -> (String, String) {
    (format!("{DOMAIN}{}", hash_of(name)), name.to_owned())
}

/// The tag that notes alias records.
#[must_use]
pub fn alias(name: &str, zone: &str, target: &str) -> (String, String) {
    (format!("{ALIAS}{}-{zone}", hash_of(name)), target.to_owned())
}

/// Names are longer than the keys of tags may be.
fn hash_of(name: &str) -> String {
    hex(&Sha256::digest(name)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "d-1.execute-api.eu-west-1.amazonaws.com";

    #[test]
    fn what_is_noted_is_read_again() {
        let tags = Tags::from([
            domain("a.example.com"),
            domain("b.example.com"),
            alias("a.example.com", "Z1", TARGET),
            alias("a.example.com", "Z2", TARGET),
            ("team".into(), "chat".into()),
        ]);
        let notes = Notes::of(&tags);
        assert!(notes.domains().eq(["a.example.com", "b.example.com"]));
        assert!(notes.zones("a.example.com").map(|(zone, _)| zone).eq(["Z1", "Z2"]));
        assert_eq!(notes.target("a.example.com", "Z2"), Some(TARGET));
        assert_eq!(notes.zones("b.example.com").count(), 0);
        assert!(Notes::of(&Tags::new()).is_empty());
    }

    #[test]
    fn a_tag_that_we_cannot_have_written_notes_nothing() {
        let (key, _) = domain("a.example.com");
        assert!(Notes::of(&Tags::from([(key, "b.example.com".into())])).is_empty());
        let elsewhere = Tags::from([domain("a.example.com"), alias("a.example.com", "Z1", "bank.example.com")]);
        assert_eq!(Notes::of(&elsewhere).zones("a.example.com").count(), 0);
    }

    #[test]
    fn notes_fit_into_tags() {
        let name = format!("{}.example.com", "a".repeat(241));
        for (key, value) in [domain(&name), alias(&name, &format!("Z{}", "0".repeat(31)), TARGET)] {
            assert!(key.len() <= 128 && value.len() <= 256, "{key}: {value}");
        }
    }
}
