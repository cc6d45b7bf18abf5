//! IAM policy documents, and when two of them mean the same.
//!
//! AWS returns documents in its own order, with lists of one as texts and, for IAM, percent-encoded. A text
//! comparison would find drift for ever, so documents are compared after [`Document::normal`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// A policy document.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Document(Value);

/// One statement that allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement(Value);

impl Statement {
    /// Allows `actions` on `resources`.
    #[must_use]
    pub fn allow<A, R>(sid: &str, actions: impl IntoIterator<Item = A>, resources: impl IntoIterator<Item = R>) -> Self
    where
        A: Into<String>,
        R: Into<String>,
    {
        let actions: Vec<String> = actions.into_iter().map(Into::into).collect();
        let resources: Vec<String> = resources.into_iter().map(Into::into).collect();
        Self(json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources }))
    }

    /// To an AWS service.
    #[must_use]
    pub fn by_service(mut self, service: &str) -> Self {
        self.0["Principal"] = json!({ "Service": service });
        self
    }

    /// On one condition.
    #[must_use]
    pub fn when(mut self, operator: &str, key: &str, value: impl Into<String>) -> Self {
        self.0["Condition"][operator][key] = Value::String(value.into());
        self
    }

    /// On a condition that one of several values meets.
    #[must_use]
    pub fn when_any(mut self, operator: &str, key: &str, values: &[String]) -> Self {
        self.0["Condition"][operator][key] = json!(values);
        self
    }
}

impl Document {
    /// A document of these statements.
    #[must_use]
    pub fn of(statements: impl IntoIterator<Item = Statement>) -> Self {
        let statements: Vec<Value> = statements.into_iter().map(|statement| statement.0).collect();
        Self(json!({ "Version": "2012-10-17", "Statement": statements }))
    }

    /// The trust policy of every role: Lambda may assume it.
    #[must_use]
    pub fn lambda_trust() -> Self {
        Self(json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        }))
    }

    /// Reads what AWS returned. A text that is no JSON is a document that equals no other.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
    }

    /// The document as AWS takes it.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// The statements, for whoever looks for one.
    pub fn statements(&self) -> impl Iterator<Item = &Value> {
        match &self.0["Statement"] {
            Value::Array(statements) => statements.as_slice(),
            Value::Null => &[],
            single => std::slice::from_ref(single),
        }
        .iter()
    }

    /// This document with the statements of another put in, or nothing when it has them all. A statement of the same
    /// id gives way; those of others stay.
    #[must_use]
    pub fn completed_by(&self, other: &Self) -> Option<Self> {
        let has = |wanted: &Value| self.statements().any(|found| normal_statement(found) == normal_statement(wanted));
        if other.statements().all(has) {
            return None;
        }
        let is_replaced = |found: &Value| other.statements().any(|wanted| wanted["Sid"] == found["Sid"]);
        let kept = self.statements().filter(|found| !is_replaced(found));
        let statements: Vec<&Value> = kept.chain(other.statements()).collect();
        Some(Self(json!({ "Version": "2012-10-17", "Statement": statements })))
    }

    /// The first principal that is an id and no ARN. IAM shows it for a user or a role that is gone, and takes no
    /// document that names one.
    #[must_use]
    pub fn lost_principal(&self) -> Option<String> {
        let is_id = |who: &String| who.starts_with("AROA") || who.starts_with("AIDA");
        self.statements().flat_map(|statement| texts(&statement["Principal"]["AWS"])).find(is_id)
    }

    /// The document without differences that mean nothing: order, lists of one, case of actions and of condition
    /// keys, IAM's own `Id`. Public so that tests can show it.
    #[must_use]
    pub fn normal(&self) -> Value {
        let Value::Object(document) = &self.0 else { return self.0.clone() };
        let mut statements: Vec<Value> = self.statements().map(normal_statement).collect();
        statements.sort_by_cached_key(ToString::to_string);
        json!({ "Version": document.get("Version").unwrap_or(&Value::Null), "Statement": statements })
    }
}

/// The document as people read it, with `{:#}` on several lines.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        // AWS mostly returns what it was given.
        self.0 == other.0 || self.normal() == other.normal()
    }
}

fn normal_statement(statement: &Value) -> Value {
    let Value::Object(fields) = statement else { return statement.clone() };
    fields
        .iter()
        .map(|(field, value)| {
            let value = match field.as_str() {
                "Action" | "NotAction" => {
                    json!(texts(value).map(|text| text.to_ascii_lowercase()).collect::<BTreeSet<_>>())
                }
                "Resource" | "NotResource" => json!(texts(value).collect::<BTreeSet<_>>()),
                "Principal" | "NotPrincipal" => normal_principal(value),
                "Condition" => normal_condition(value),
                _ => value.clone(),
            };
            (field.clone(), value)
        })
        .collect()
}

fn normal_principal(principal: &Value) -> Value {
    match principal {
        Value::Object(kinds) => {
            kinds.iter().map(|(kind, who)| (kind.clone(), json!(texts(who).collect::<BTreeSet<_>>()))).collect()
        }
        // `"*"` is short for everyone known to AWS.
        other => json!({ "AWS": texts(other).collect::<BTreeSet<_>>() }),
    }
}

fn normal_condition(condition: &Value) -> Value {
    let Value::Object(operators) = condition else { return condition.clone() };
    let operators: BTreeMap<&String, BTreeMap<String, BTreeSet<String>>> = operators
        .iter()
        .map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            (operator, keys.map(|(key, value)| (key.to_ascii_lowercase(), texts(value).collect())).collect())
        })
        .collect();
    json!(operators)
}

/// A text, number, boolean or list of them, as texts.
pub(crate) fn texts(value: &Value) -> Box<dyn Iterator<Item = String> + '_> {
    match value {
        Value::Array(values) => Box::new(values.iter().flat_map(texts)),
        Value::String(text) => Box::new(std::iter::once(text.clone())),
        other => Box::new(std::iter::once(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_lists_of_one_and_case_of_actions_mean_nothing() {
        let ours = Document::of([
            Statement::allow("A", ["sqs:SendMessage", "sqs:ReceiveMessage"], ["arn:q"]),
            Statement::allow("B", ["sns:Publish"], ["arn:t"]).when("ArnLike", "aws:SourceArn", "arn:x"),
        ]);
        let theirs = Document::parse(
            r#"{"Statement":[
                {"Sid":"B","Effect":"Allow","Action":"SNS:Publish","Resource":"arn:t","Condition":{"ArnLike":{"AWS:SourceArn":["arn:x"]}}},
                {"Resource":["arn:q"],"Action":["sqs:receivemessage","sqs:SendMessage"],"Effect":"Allow","Sid":"A"}],
              "Version":"2012-10-17","Id":"whatever"}"#,
        );
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_wider_resource_or_a_lost_condition_is_another_document() {
        let ours = Document::of([Statement::allow("A", ["sqs:*"], ["arn:q"]).when("Bool", "k", "true")]);
        assert_ne!(ours, Document::of([Statement::allow("A", ["sqs:*"], ["*"]).when("Bool", "k", "true")]));
        assert_ne!(ours, Document::of([Statement::allow("A", ["sqs:*"], ["arn:q"])]));
        assert_ne!(ours, Document::parse("no JSON"));
    }

    #[test]
    fn statements_of_others_stay_when_ours_are_put_in() {
        let ours = Document::of([Statement::allow("Ours", ["sqs:SendMessage"], ["arn:q"])]);
        let theirs = Document::of([Statement::allow("Theirs", ["sqs:ReceiveMessage"], ["arn:q"])]);
        let both = theirs.completed_by(&ours).unwrap();
        assert_eq!(both.statements().count(), 2);
        assert!(both.completed_by(&ours).is_none() && both.completed_by(&theirs).is_none());
        let wider = Document::of([Statement::allow("Ours", ["sqs:*"], ["arn:q"])]);
        assert_eq!(wider.completed_by(&ours).unwrap(), ours, "a changed statement of ours is put right");
        assert_eq!(Document::parse("").completed_by(&ours).unwrap(), ours);
    }

    #[test]
    fn a_principal_that_iam_has_replaced_by_an_id_is_drift() {
        let ours =
            Document::of([Statement::allow("A", ["sqs:SendMessage"], ["arn:q"]).by_service("sns.amazonaws.com")]);
        let replaced = Document::parse(
            r#"{"Version":"2012-10-17","Statement":{"Sid":"A","Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:q","Principal":{"AWS":"AROAEXAMPLEID12345678"}}}"#,
        );
        assert_ne!(ours, replaced);
        assert_eq!((ours.lost_principal(), replaced.lost_principal()), (None, Some("AROAEXAMPLEID12345678".into())));
        let arn = r#"{"Statement":[{"Principal":{"AWS":["arn:aws:iam::1:role/AROA"]}},{"Principal":"*"}]}"#;
        assert_eq!(Document::parse(arn).lost_principal(), None);
    }
}
