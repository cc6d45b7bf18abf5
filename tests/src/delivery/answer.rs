//! What a function's answer to a batch means. Pure.
//!
//! Sources: Lambda's developer guide, "Configuring partial batch response" of SQS and of `DynamoDB`.

use std::collections::BTreeSet;

use serde_json::Value;

/// What was said of a batch's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// All are done.
    Done,
    /// Those with these identifiers have failed.
    Failed(BTreeSet<String>),
    /// The answer is none that Lambda takes: all have failed.
    Nonsense,
}

/// Reads an answer to a batch whose records have these identifiers.
#[must_use]
pub fn read(answer: &Value, identifiers: &[String]) -> Said {
    let failures = match answer {
        Value::Null => return Said::Done,
        Value::Object(members) => match members.get("batchItemFailures") {
            None | Some(Value::Null) => return Said::Done,
            Some(Value::Array(failures)) => failures,
            Some(_) => return Said::Nonsense,
        },
        _ => return Said::Nonsense,
    };
    let named: Option<BTreeSet<String>> = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().map(ToOwned::to_owned))
        .map(|named| named.filter(|named| identifiers.contains(named)))
        .collect();
    match named {
        Some(named) if named.is_empty() => Said::Done,
        Some(named) => Said::Failed(named),
        None => Said::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_names_what_has_failed_and_whatever_names_nothing_known_fails_all() {
        let said = |answer: Value| read(&answer, &["a".to_owned(), "b".to_owned()]);
        for done in [json!(null), json!({}), json!({"batchItemFailures": null}), json!({"batchItemFailures": []})] {
            assert_eq!(said(done), Said::Done);
        }
        let one = said(json!({"batchItemFailures": [{"itemIdentifier": "b"}]}));
        assert_eq!(one, Said::Failed(BTreeSet::from(["b".to_owned()])));
        for item in [json!({"itemIdentifier": ""}), json!({"itemIdentifier": null}), json!({"id": "a"}), json!("a")] {
            assert_eq!(said(json!({"batchItemFailures": [item]})), Said::Nonsense, "{item}");
        }
        let known_and_unknown = json!([{"itemIdentifier": "a"}, {"itemIdentifier": "c"}]);
        assert_eq!(said(json!({ "batchItemFailures": known_and_unknown })), Said::Nonsense);
        assert_eq!(said(json!("text")), Said::Nonsense);
        assert_eq!(said(json!({"batchItemFailures": "a"})), Said::Nonsense);
    }
}
