//! What the tags of our messages topic note of subscriptions. Pure.
//!
//! A subscription carries no tags. So before one is made, the topic is tagged with its id; the note goes when the
//! subscription is gone. Without such a tag there is none of ours, and nobody need look for one.
//!
//! A function's permission is found by the function's name alone. So before one is given, and before the subscription
//! that names the function is taken away, the name is noted too.
//!
//! One tag holds many words, because a topic has 50 tags and users may want 40 of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{FunctionName, SubscriptionId};
use crate::stack::name::Tags;

/// Begin of the tags.
const KEY: &str = "sumu.live/subscriptions-";
/// What is left of AWS's 50 by 40 tags of users and three of ours.
const TAGS_MAX: u8 = 7;
const VALUE_CHARACTERS_MAX: usize = 256;
/// Begin of a word that names a function.
const FUNCTION: &str = "function:";
/// In a tag without a word.
const NONE: &str = "none";

/// One thing that is noted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A subscription.
    Subscription(SubscriptionId),
    /// A function that may have our permission.
    Function(FunctionName),
}

impl Note {
    fn parse(word: &str) -> Option<Self> {
        match word.strip_prefix(FUNCTION) {
            Some(name) => FunctionName::parse(name).map(Self::Function),
            None => SubscriptionId::parse(word).map(Self::Subscription),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscription(id) => id.fmt(f),
            Self::Function(name) => write!(f, "{FUNCTION}{name}"),
        }
    }
}

/// All that a topic notes, tag by tag: a note never moves to another tag, so that none is lost while tags are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(BTreeMap<u8, BTreeSet<Note>>);

impl Notes {
    /// The notes in a topic's tags.
    #[must_use]
    pub fn of(tags: &Tags) -> Self {
        let number = |key: &str| key.strip_prefix(KEY)?.parse().ok().filter(|number| (1..=TAGS_MAX).contains(number));
        let notes = |value: &str| value.split(' ').filter_map(Note::parse).collect();
        Self(tags.iter().filter_map(|(key, value)| Some((number(key)?, notes(value)))).collect())
    }

    /// Whether there may be something of ours.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether nothing is noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeSet::is_empty)
    }

    /// Whether it is noted.
    #[must_use]
    pub fn has(&self, note: &Note) -> bool {
        self.0.values().any(|notes| notes.contains(note))
    }

    /// Whether a subscription is noted.
    #[must_use]
    pub fn has_subscription(&self, id: SubscriptionId) -> bool {
        self.has(&Note::Subscription(id))
    }

    /// The subscriptions that are noted.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.0.values().flatten().filter_map(|note| match note {
            Note::Subscription(id) => Some(*id),
            Note::Function(_) => None,
        })
    }

    /// The functions that are noted.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionName> {
        self.0.values().flatten().filter_map(|note| match note {
            Note::Subscription(_) => None,
            Note::Function(name) => Some(name),
        })
    }

    /// Says that there may be something of ours.
    pub fn open(&mut self) {
        if !self.is_open() {
            self.0.insert(1, BTreeSet::new());
        }
    }

    /// Says that there is nothing of ours, if nothing is noted.
    pub fn close(&mut self) {
        if self.is_empty() {
            self.0.clear();
        }
    }

    /// Notes all of these, or none when there is no room.
    #[must_use]
    pub fn add(&mut self, notes: impl IntoIterator<Item = Note>) -> bool {
        let before = self.clone();
        for note in notes {
            if self.has(&note) {
                continue;
            }
            let length = note.to_string().len();
            let has_room = |notes: &BTreeSet<Note>| written(notes).len() + 1 + length <= VALUE_CHARACTERS_MAX;
            let tag = (1..=TAGS_MAX).find(|tag| self.0.get(tag).is_none_or(has_room));
            let Some(tag) = tag else {
                *self = before;
                return false;
            };
            self.0.entry(tag).or_default().insert(note);
        }
        self.drop_empty_tags();
        true
    }

    /// Takes a note away. What keeps the notes open stays.
    pub fn remove(&mut self, note: &Note) {
        for notes in self.0.values_mut() {
            notes.remove(note);
        }
        self.drop_empty_tags();
    }

    /// But for one, when there are no others.
    fn drop_empty_tags(&mut self) {
        let last = if self.is_empty() { self.0.keys().next().copied() } else { None };
        self.0.retain(|tag, notes| !notes.is_empty() || Some(*tag) == last);
    }

    /// The tags to write, and those to take off, where there are other notes.
    #[must_use]
    pub fn in_place_of(&self, others: &Self) -> (Tags, Vec<String>) {
        let changed = self.0.iter().filter(|(tag, notes)| others.0.get(tag) != Some(notes));
        let gone = others.0.keys().filter(|tag| !self.0.contains_key(tag));
        (changed.map(|(tag, notes)| (key(*tag), written(notes))).collect(), gone.map(|tag| key(*tag)).collect())
    }
}

/// The keys of all tags that note something.
#[must_use]
pub fn keys(tags: &Tags) -> Vec<String> {
    tags.keys().filter(|key| key.starts_with(KEY)).cloned().collect()
}

/// The tag of a topic that is made for a stack with subscriptions.
#[must_use]
pub fn opening() -> (String, String) {
    (key(1), NONE.to_owned())
}

fn key(tag: u8) -> String {
    format!("{KEY}{tag}")
}

fn written(notes: &BTreeSet<Note>) -> String {
    if notes.is_empty() {
        return NONE.to_owned();
    }
    notes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(number: usize) -> Note {
        Note::Subscription(SubscriptionId::of("sqs", &number.to_string()))
    }

    fn function(name: &str) -> Note {
        Note::Function(FunctionName::parse(name).unwrap())
    }

    fn written_from_nothing(notes: &Notes) -> Tags {
        notes.in_place_of(&Notes::default()).0
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let mut notes = Notes::default();
        assert!(notes.add((0..40).map(subscription).chain([function("f:live"), function("g")])));
        let mut tags = written_from_nothing(&notes);
        tags.extend([("team".into(), "chat".into()), ("sumu.live/owner".into(), "uid".into())]);
        assert_eq!(Notes::of(&tags), notes);
        assert_eq!(notes.subscriptions().count(), 40);
        assert!(notes.functions().map(ToString::to_string).eq(["f:live", "g"]));
        assert_eq!(keys(&tags).len(), tags.len() - 2);
    }

    #[test]
    fn open_notes_without_a_word_are_not_none() {
        let mut notes = Notes::default();
        notes.open();
        assert_eq!(Notes::of(&Tags::from([opening()])), notes);
        assert!(notes.is_open() && notes.is_empty() && !Notes::of(&Tags::new()).is_open());
        assert!(notes.add([subscription(1)]));
        notes.close();
        assert!(notes.is_open(), "something is noted");
        notes.remove(&subscription(1));
        assert!(notes.is_open());
        notes.close();
        assert_eq!(notes.in_place_of(&Notes::of(&Tags::from([opening()]))), (Tags::new(), vec![opening().0]));
    }

    #[test]
    fn a_hundred_subscriptions_and_the_longest_names_of_functions_fit_into_seven_tags() {
        let mut notes = Notes::default();
        assert!(notes.add((0..100).map(subscription)));
        let long = format!("{}:{}", "f".repeat(64), "v".repeat(128));
        assert!(notes.add([function(&long)]));
        for (key, value) in written_from_nothing(&notes) {
            let is_taken = |c: char| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c);
            assert!(key.len() <= 128 && value.len() <= 256 && value.chars().all(is_taken), "{key}: {value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_noted_in_part() {
        let mut notes = Notes::default();
        while notes.add([function(&"f".repeat(64)), subscription(notes.0.values().map(BTreeSet::len).sum())]) {}
        let full = notes.clone();
        assert!(!notes.add([subscription(1000), function(&"g".repeat(64)), function(&"h".repeat(64))]));
        assert_eq!(notes, full);
        assert!(written_from_nothing(&notes).len() <= usize::from(TAGS_MAX));
    }

    #[test]
    fn only_the_tags_that_change_are_written_and_a_note_stays_where_it_is() {
        let mut before = Notes::default();
        assert!(before.add((0..25).map(subscription)));
        let mut after = before.clone();
        after.remove(&subscription(0));
        let (changed, gone) = after.in_place_of(&before);
        assert!(changed.keys().eq(["sumu.live/subscriptions-1"]) && gone.is_empty());
        (19..25).for_each(|number| after.remove(&subscription(number)));
        let (_, gone) = after.in_place_of(&before);
        assert_eq!(gone, ["sumu.live/subscriptions-2"]);
        assert_eq!(before.in_place_of(&before), (Tags::new(), vec![]));
    }

    #[test]
    fn a_tag_that_we_cannot_have_written_notes_nothing() {
        let tags = [("sumu.live/subscriptions-8", "0123456789ab"), ("sumu.live/subscriptions-x", "0123456789ab")];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert!(!Notes::of(&Tags::from(tags)).is_open());
        let odd = Tags::from([("sumu.live/subscriptions-1".into(), "function:$x 0 none function:".into())]);
        assert!(Notes::of(&odd).is_empty() && Notes::of(&odd).is_open());
    }
}
