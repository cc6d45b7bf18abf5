//! What IAM's policy simulator is asked about a policy, and what follows from its answers. Pure.
//!
//! The simulator judges one action on one resource at a time, under circumstances that whoever asks has to name. So each
//! pattern of the policy is asked for by an example, and each condition by what meets it.

use std::fmt;

use super::principal::Principal;
use crate::desired::policy::{Document, texts};
use crate::stack::name::Account;

/// What stands for `*` in a resource that is asked for.
const EXAMPLE: &str = "preflight";

/// How many rights a condition names.
const NAMED_MAX: usize = 12;

/// Actions on resources, under the same circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The actions, with their services' prefixes.
    pub actions: Vec<String>,
    /// ARNs, or `*` alone.
    pub resources: Vec<String>,
    /// Keys of conditions, and what they are to be.
    pub circumstances: Vec<(String, Vec<String>)>,
}

/// An action on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The action, with its service's prefix.
    pub action: String,
    /// The ARN, or `*`.
    pub resource: String,
}

/// What the simulator says of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of whom.
    pub principal: Principal,
    /// What is denied, in order.
    pub lacking: Vec<Right>,
    /// What depends on circumstances that nobody has named, with the conditions' keys.
    pub open: Vec<(Right, Vec<String>)>,
}

/// What to ask, so that the answers say who has all rights of a policy in a place, for a stack whose names begin so.
#[must_use]
pub fn questions(policy: &Document, place: &Account, prefix: &str) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for statement in policy.statements() {
        let example = |pattern: String| example(&pattern, prefix);
        let resources: Vec<String> = texts(&statement["Resource"]).map(example).collect();
        let keys = statement["Condition"].as_object().into_iter().flatten();
        let keys = keys.flat_map(|(_, keys)| keys.as_object().into_iter().flatten());
        let actions: Vec<String> = texts(&statement["Action"]).collect();
        // One that meets the condition is enough.
        let met = keys.map(|(key, values)| (key.clone(), texts(values).map(example).take(1).collect()));
        // Organisations often deny other regions than theirs.
        let region = ("aws:RequestedRegion".to_owned(), vec![region_of(&actions, place).to_owned()]);
        let circumstances: Vec<_> = met.chain([region]).collect();
        let is_same = |asked: &&mut Question| asked.resources == resources && asked.circumstances == circumstances;
        match questions.iter_mut().find(is_same) {
            Some(asked) => asked.actions.extend(actions),
            None => questions.push(Question { actions, resources, circumstances }),
        }
    }
    questions
}

/// Services without regions are called in one of their partition.
///
/// Source: IAM User Guide, global condition keys: aws:RequestedRegion.
fn region_of<'a>(actions: &[String], place: &'a Account) -> &'a str {
    let is_global = |action: &String| action.starts_with("iam:") || action.starts_with("route53:");
    match (actions.iter().any(is_global), place.partition.as_str()) {
        (false, _) => &place.region,
        (true, "aws-cn") => "cn-north-1",
        (true, "aws-us-gov") => "us-gov-west-1",
        (true, _) => "us-east-1",
    }
}

fn example(pattern: &str, prefix: &str) -> String {
    if pattern == "*" {
        return pattern.to_owned();
    }
    pattern.replace("sumu-*", &format!("{prefix}-{EXAMPLE}")).replace('*', EXAMPLE)
}

impl Verdict {
    /// Whether nothing is known to be missing.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.lacking.is_empty()
    }

    /// The same for a condition; nothing when nothing is missing.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let mut actions: Vec<&str> = self.lacking.iter().map(|right| right.action.as_str()).collect();
        // Sorted by action, so that what is the same stands together.
        actions.dedup();
        if actions.is_empty() {
            return None;
        }
        let more = actions.len().saturating_sub(NAMED_MAX);
        let named = actions[..actions.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Some(format!("{named}{more} (IAM's policy simulator of {})", self.principal))
    }
}

/// The verdict as people read it, on several lines.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principal = &self.principal;
        if self.is_good() {
            writeln!(f, "By IAM's policy simulator {principal} lacks no right that is needed.")?;
        } else {
            writeln!(f, "By IAM's policy simulator {principal} lacks:")?;
        }
        for Right { action, resource } in &self.lacking {
            writeln!(f, "  {action} on {resource}")?;
        }
        if !self.open.is_empty() {
            writeln!(f, "Its policies make these depend on what only a call shows:")?;
        }
        for (Right { action, resource }, keys) in &self.open {
            writeln!(f, "  {action} on {resource}: {}", keys.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::{Needs, Place, policy};

    fn asked(needs: &Needs) -> Vec<Question> {
        let [partition, region, id] = ["aws", "eu-west-1", "123456789012"].map(ToOwned::to_owned);
        let account = Account { partition, region, id };
        questions(&policy(&Place::of(&account), needs), &account, "sumu-apps-live-1c665958")
    }

    #[test]
    fn every_action_of_the_policy_is_asked_for_by_names_of_the_stack_and_none_by_a_pattern() {
        let needs = Needs { domain_names: true, hosted_zones: vec!["*".into()], ..Needs::default() };
        let asked = asked(&needs);
        let [partition, region, id] = ["aws", "eu-west-1", "123456789012"].map(ToOwned::to_owned);
        let policy = policy(&Place::of(&Account { partition, region, id }), &needs);
        let mut all: Vec<String> = policy.statements().flat_map(|statement| texts(&statement["Action"])).collect();
        let mut found: Vec<String> = asked.iter().flat_map(|question| question.actions.clone()).collect();
        all.sort();
        found.sort();
        assert_eq!(found, all);
        let resources: Vec<&String> = asked.iter().flat_map(|question| &question.resources).collect();
        let name = "sumu-apps-live-1c665958-preflight";
        for expected in [
            format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{name}"),
            format!("arn:aws:iam::123456789012:role/{name}"),
            "arn:aws:apigateway:eu-west-1::/apis/preflight".into(),
            "arn:aws:route53:::hostedzone/preflight".into(),
            "*".into(),
        ] {
            assert!(resources.contains(&&expected), "{expected} in {resources:?}");
        }
        assert!(resources.iter().all(|resource| *resource == "*" || !resource.contains('*')), "{resources:?}");
    }

    #[test]
    fn conditions_are_asked_for_by_what_meets_them() {
        let function = "arn:aws:lambda:eu-west-1:123456789012:function:chat";
        let asked = asked(&Needs { consumers: vec![function.into()], ..Needs::default() });
        let of = |action: &str| {
            let of_it = asked.iter().filter(|question| question.actions.iter().any(|asked| asked == action));
            of_it.flat_map(|question| question.circumstances.clone()).collect::<Vec<_>>()
        };
        let is = |key: &str, value: &str| (key.to_owned(), vec![value.to_owned()]);
        let (here, global) = (is("aws:RequestedRegion", "eu-west-1"), is("aws:RequestedRegion", "us-east-1"));
        assert_eq!(of("iam:PassRole"), [is("iam:PassedToService", "lambda.amazonaws.com"), global.clone()]);
        assert_eq!(of("iam:CreateRole"), [global]);
        let ours = "arn:aws:lambda:eu-west-1:123456789012:function:sumu-apps-live-1c665958-preflight";
        let fed = [ours, function].map(|arn| [is("lambda:FunctionArn", arn), here.clone()]).concat();
        assert_eq!(of("lambda:CreateEventSourceMapping"), fed);
        assert_eq!(of("sqs:CreateQueue"), [here]);
    }

    fn verdict(actions: impl IntoIterator<Item = String>) -> Verdict {
        let lacking = actions.into_iter().map(|action| Right { action, resource: "arn:x".into() }).collect();
        let principal = Principal::parse("arn:aws:iam::123456789012:role/o").unwrap();
        Verdict { principal, lacking, open: vec![] }
    }

    #[test]
    fn a_condition_names_each_action_once_and_not_more_than_can_be_read() {
        assert_eq!(verdict([]).missing(), None);
        let twice = verdict(["sqs:A", "sqs:A", "sqs:B"].map(ToOwned::to_owned)).missing().unwrap();
        assert_eq!(twice, "sqs:A, sqs:B (IAM's policy simulator of arn:aws:iam::123456789012:role/o)");
        let many = verdict((10..30).map(|at| format!("sqs:{at}"))).missing().unwrap();
        assert!(many.contains("sqs:20, sqs:21 and 8 more ("), "{many}");
    }

    #[test]
    fn what_depends_on_circumstances_is_told_and_is_no_right_that_is_missing() {
        let right = Right { action: "apigateway:DELETE".into(), resource: "arn:x".into() };
        let verdict = Verdict { open: vec![(right, vec!["aws:ResourceTag/team".into()])], ..verdict([]) };
        assert!(verdict.is_good());
        let text = verdict.to_string();
        assert!(text.ends_with("  apigateway:DELETE on arn:x: aws:ResourceTag/team\n"), "{text}");
    }
}
