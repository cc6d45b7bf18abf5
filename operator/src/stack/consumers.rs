//! Which of the users' functions the messages queue feeds, and how the queue's tags note that. Pure.
//!
//! What feeds a function carries tags, but is found only by asking for everything that the queue feeds. So before the
//! first is made, the messages queue, whose tags are read at every look anyway, is tagged with a note; the note goes
//! when nothing is left. A stack without consumers is asked nothing.

use std::collections::BTreeSet;

use super::Invalid;
use super::name::Tags;
use crate::sumu_stack::Consumer;

/// The key of the note.
pub const NOTE: &str = "sumu.live/consumers";
/// What the note says: that there may be some.
const SAYS: &str = "yes";
/// The qualifier that means the same as none.
const LATEST: &str = ":$LATEST";

/// The tag that notes consumers.
#[must_use]
pub fn note() -> (String, String) {
    (NOTE.to_owned(), SAYS.to_owned())
}

/// Whether a queue's tags note consumers. Any value counts: to look once too often costs nothing but a read.
#[must_use]
pub fn is_noted(tags: &Tags) -> bool {
    tags.contains_key(NOTE)
}

/// A function's ARN in the form that names it once.
#[must_use]
pub fn normal(function_arn: &str) -> &str {
    function_arn.strip_suffix(LATEST).unwrap_or(function_arn)
}

/// A function's name, with its version or alias, as people say it.
#[must_use]
pub fn name(function_arn: &str) -> &str {
    function_arn.split_once(":function:").map_or(function_arn, |(_, name)| name)
}

/// The consumers of a stack in a region.
///
/// # Errors
/// When a function is in another region, which Lambda refuses, or named twice.
pub(super) fn of(consumers: &[Consumer], region: &str) -> Result<Vec<Consumer>, Invalid> {
    let mut known = BTreeSet::new();
    let mut checked = Vec::new();
    for consumer in consumers {
        let arn = normal(&consumer.function_arn);
        if let Some(other) = arn.split(':').nth(3).filter(|other| *other != region) {
            return Err(Invalid(format!(
                "spec.messages.consumers: function {arn} is in {other} and the stack in {region}: Lambda reads queues of \
                 the same region only; name a function in {region}"
            )));
        }
        if !known.insert(arn) {
            return Err(Invalid(format!(
                "spec.messages.consumers names the function {arn} twice: a queue feeds a function once; take one out"
            )));
        }
        checked.push(Consumer { function_arn: arn.to_owned(), ..consumer.clone() });
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:chat";

    fn consumer(function_arn: &str) -> Consumer {
        Consumer {
            function_arn: function_arn.to_owned(),
            batch_size: 10,
            maximum_batching_window_seconds: 0,
            maximum_concurrency: None,
        }
    }

    #[test]
    fn a_function_and_its_aliases_are_several_and_its_latest_version_is_itself() {
        let latest = format!("{ARN}:$LATEST");
        assert_eq!(of(&[consumer(&latest)], "eu-west-1").unwrap(), [consumer(ARN)]);
        let several = [consumer(ARN), consumer(&format!("{ARN}:live")), consumer(&format!("{ARN}:7"))];
        assert_eq!(of(&several, "eu-west-1").unwrap().len(), 3);
        let refused = of(&[consumer(ARN), consumer(&latest)], "eu-west-1").unwrap_err().to_string();
        assert!(refused.contains("chat twice") && refused.contains("take one out"), "{refused}");
        assert_eq!([name(ARN), name(&several[1].function_arn)], ["chat", "chat:live"]);
    }

    #[test]
    fn a_function_of_another_region_is_refused_with_the_remedy() {
        let refused = of(&[consumer(ARN)], "us-east-1").unwrap_err().to_string();
        assert!(refused.contains("is in eu-west-1 and the stack in us-east-1"), "{refused}");
        assert!(refused.contains("name a function in us-east-1"), "{refused}");
    }

    #[test]
    fn what_is_noted_is_read_again() {
        assert!(is_noted(&Tags::from([note()])));
        assert!(!is_noted(&Tags::from([("team".into(), "chat".into())])));
    }
}
