//! Lists of Lambda, CloudWatch Logs and SNS: AWS tells them in pages that may be short, the emulator in the longest ones.

use futures::FutureExt;
use hyper::body::Bytes;

use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Answer;

/// The most that a page of each has.
const SOURCES_MAX: usize = 100;
const LOG_GROUPS_MAX: usize = 50;
const SUBSCRIPTIONS_MAX: usize = 100;

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "source-list-in-pages",
        says: "Event sources are listed in pages of at most 100, and a page may have fewer.",
        source: "Lambda API Reference, ListEventSourceMappings: Marker, MaxItems, NextMarker",
        service: Service::Lambda,
        operations: &["ListEventSourceMappings"],
        act: Act::Ask(sources),
    },
    Rule {
        name: "log-group-list-in-pages",
        says: "Log groups are listed in pages of at most 50, and a page may have fewer.",
        source: "CloudWatch Logs API Reference, DescribeLogGroups: limit and nextToken",
        service: Service::Logs,
        operations: &["DescribeLogGroups"],
        act: Act::Ask(log_groups),
    },
    Rule {
        name: "subscription-list-in-pages",
        says: "Subscriptions are listed in pages of at most 100, and a page may have fewer.",
        source: "SNS API Reference, ListSubscriptionsByTopic: NextToken",
        service: Service::Sns,
        operations: &["ListSubscriptionsByTopic"],
        act: Act::Mend(|call, facts, answer| async move { Ok(subscriptions(call, facts, answer)) }.boxed()),
    },
];

/// Cuts a page out of all items. The token is the number of the first item of its page; nothing is the first page.
fn page<T>(all: &mut Vec<T>, token: Option<&str>, size: usize) -> Option<String> {
    let from = token.and_then(|token| token.parse().ok()).unwrap_or(0).min(all.len());
    let to = all.len().min(from + size.max(1));
    let next = (to < all.len()).then(|| to.to_string());
    *all = all.drain(from..to).collect();
    next
}

/// The emulator pages by itself, but never shorter than it is asked to.
fn sources(call: &Call, facts: &Facts) -> (String, Bytes) {
    const SIZE: &str = "MaxItems";
    let asked = call.query(SIZE).and_then(|text| text.parse().ok()).unwrap_or(SOURCES_MAX);
    let others = form_urlencoded::parse(call.query.as_bytes()).filter(|(name, _)| name != SIZE);
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(others)
        .append_pair(SIZE, &asked.min(facts.pace.page).to_string())
        .finish();
    (query, call.body.clone())
}

fn log_groups(call: &Call, facts: &Facts) -> (String, Bytes) {
    let mut input = call.input().clone();
    let asked = input["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LOG_GROUPS_MAX);
    input["limit"] = asked.min(facts.pace.page).into();
    (call.query.clone(), input.to_string().into())
}

fn subscriptions(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    const OPEN: &str = "<Subscriptions>";
    const CLOSE: &str = "</Subscriptions>";
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let (Some((before, rest)), true) = (text.split_once(OPEN), answer.is_good()) else { return answer };
    let Some((members, after)) = rest.split_once(CLOSE) else { return answer };
    let mut all: Vec<&str> =
        members.split_inclusive("</member>").filter(|member| member.contains("<member>")).collect();
    let count = all.len();
    let token = Some(call.text("NextToken")).filter(|token| !token.is_empty());
    let next = page(&mut all, token, SUBSCRIPTIONS_MAX.min(facts.pace.page));
    if all.len() == count {
        return answer;
    }
    let next = next.map(|token| format!("<NextToken>{token}</NextToken>")).unwrap_or_default();
    answer.with_text(format!("{before}{OPEN}{}{CLOSE}{next}{after}", all.concat()))
}
