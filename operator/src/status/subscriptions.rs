//! What is told of subscriptions to the messages topic that wait for whoever their endpoint belongs to.
//!
//! That is no fault of the stack's and may take a person days, so `Ready` does not wait for it: it has a condition of
//! its own.

use super::conditions::{News, SUBSCRIPTIONS_CONFIRMED, list};
use crate::desired::Desired;
use crate::observed::Observed;
use crate::stack::name::TopicId;
use crate::stack::subscription::Subscription;
use crate::stack::subscription::notes::Notes;
use crate::sumu_stack::{ConditionStatus, Protocol};

/// Whether everybody has confirmed whom SNS asks; nothing while nobody is asked.
pub(super) fn confirmed(desired: &Desired, observed: &Observed) -> Option<News> {
    let notes = observed.topics.get(&TopicId::Messages).map(|topic| Notes::of(&topic.tags))?;
    let (mut waiting, mut asked) = (Vec::new(), false);
    for want in desired.subscriptions.iter().filter(|want| notes.has_subscription(want.id())) {
        let Some(found) = observed.subscriptions.find(want.id()) else { continue };
        asked |= found.arn.is_none() || is_asked(want);
        waiting.extend(found.arn.is_none().then(|| format!("{want} ({})", how(want.protocol))));
    }
    if !waiting.is_empty() {
        let count = waiting.len();
        let message = format!("SNS delivers nothing yet to {}", list(waiting.into_iter(), count));
        return Some(News::new(SUBSCRIPTIONS_CONFIRMED, ConditionStatus::False, "ActionRequired", message));
    }
    asked.then(|| News::new(SUBSCRIPTIONS_CONFIRMED, ConditionStatus::True, "Settled", "Everybody has confirmed"))
}

fn is_asked(want: &Subscription) -> bool {
    matches!(want.protocol, Protocol::Http | Protocol::Https | Protocol::Email)
}

/// Whom SNS waits for.
fn how(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Email => "somebody must follow the link in the message that SNS has sent there",
        Protocol::Http | Protocol::Https => {
            "the server must answer the SubscriptionConfirmation that SNS has posted there"
        }
        // Those of another account.
        Protocol::Lambda | Protocol::Sqs | Protocol::Firehose | Protocol::Sms => {
            "its owner must call ConfirmSubscription with the token that SNS has sent there"
        }
    }
}
