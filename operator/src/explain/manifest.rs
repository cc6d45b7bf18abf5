//! Files with `SumuStack` objects, among others. Pure.
//!
//! What can be said about an object without an API server is said here: whether it is one, and whether each of its
//! fields is known. Ranges, patterns and rules are the API server's.

use std::fmt;

use kube::Resource as _;
use serde_json::Value;

use crate::sumu_stack::SumuStack;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifests {
    /// The stacks, in their order.
    pub stacks: Vec<Manifest>,
    /// What else is in it, as kind and name.
    pub skipped: Vec<String>,
}

/// A stack as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The stack with what it leaves out.
    pub stack: SumuStack,
    /// The object as it stands there.
    pub object: Value,
}

/// Why a file cannot be read as manifests, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads YAML with any number of documents, or JSON.
///
/// # Errors
/// When a document is not YAML, or a stack in it is none that this version knows.
pub fn read(text: &str) -> Result<Manifests, Problem> {
    let mut found = Manifests::default();
    for document in documents(text) {
        // Brief, because what surrounds a mistake may be long.
        let no_yaml = |error: serde_saphyr::Error| Problem(error.without_snippet().to_string());
        let object: Option<Value> = serde_saphyr::from_str(&document).map_err(no_yaml)?;
        let Some(object) = object else { continue };
        if !is_stack(&object) {
            let (kind, name) = (text_of(&object["kind"]), text_of(&object["metadata"]["name"]));
            let kind = if kind.is_empty() { "something without a kind" } else { kind };
            found.skipped.push(format!("{kind} {name}").trim_end().to_owned());
            continue;
        }
        let version = text_of(&object["apiVersion"]);
        let known = SumuStack::api_version(&());
        if version != known {
            return Err(Problem(format!(
                "apiVersion {version} is not known: this version of the operator has {known}"
            )));
        }
        // From the text once more: that tells the line of a mistake.
        let stack: SumuStack = serde_saphyr::from_str(&document).map_err(no_yaml)?;
        if stack.metadata.name.is_none() {
            return Err(Problem("metadata.name is missing: give the stack a name".into()));
        }
        known_fields_only(&object, &stack)?;
        found.stacks.push(Manifest { stack, object });
    }
    Ok(found)
}

/// The documents of a file, each on the lines that it has there.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        let is_marker = line == "---" || line.starts_with("--- ") || line == "...";
        if is_marker {
            documents.push("\n".repeat(number));
        }
        let line = if is_marker { line[3..].trim_start() } else { line };
        if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let is_said = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    documents.retain(|document| document.lines().any(is_said));
    documents
}

fn is_stack(object: &Value) -> bool {
    let group = SumuStack::group(&());
    let is_ours = text_of(&object["apiVersion"]).split_once('/').is_some_and(|(of, _)| of == group);
    is_ours && text_of(&object["kind"]) == SumuStack::kind(&())
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The API server drops a field that it does not know, and then the stack is not what was meant.
fn known_fields_only(object: &Value, stack: &SumuStack) -> Result<(), Problem> {
    // An object that was just read is always JSON.
    let known = serde_json::to_value(&stack.spec).unwrap_or_default();
    let mut unknown = Vec::new();
    compare("spec", &object["spec"], &known, &mut unknown);
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Problem(format!(
        "unknown field {}: correct its name or take it out; `kubectl explain sumustack.spec --recursive` lists all fields",
        unknown.join(", ")
    )))
}

fn compare(path: &str, written: &Value, known: &Value, unknown: &mut Vec<String>) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (name, value) in written {
                let path = format!("{path}.{name}");
                match known.get(name) {
                    Some(known) => compare(&path, value, known, unknown),
                    // What is empty says the same as what is absent.
                    None if is_empty(value) => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(known)) => {
            for (number, (written, known)) in written.iter().zip(known).enumerate() {
                compare(&format!("{path}[{number}]"), written, known, unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "apiVersion: sumu.live/v1alpha1
kind: SumuStack
metadata: {name: live, namespace: apps}
spec:
  authorizer:
    issuers: [{jwksUri: https://issuer.example/keys}]
";

    fn problem(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn stacks_are_found_among_other_objects_and_the_others_are_named() {
        let text = format!(
            "# a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: apps}}\n---\n{STACK}---\n\n--- # another\n{}...\n",
            STACK.replace("name: live", "name: chat")
        );
        let found = read(&text).unwrap();
        let names: Vec<_> = found.stacks.iter().map(|found| found.stack.metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["live", "chat"]);
        assert_eq!(found.skipped, ["Namespace apps"]);
        assert_eq!(found.stacks[0].stack.spec.stage_name, "live", "what is left out has its default");
        assert!(found.stacks[0].object["spec"].get("stageName").is_none(), "the object is as it stands there");
    }

    #[test]
    fn json_is_read_too() {
        let json = serde_json::to_string(&read(STACK).unwrap().stacks[0].object).unwrap();
        assert_eq!(read(&json).unwrap(), read(STACK).unwrap());
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let wrong = format!("kind: Other\n---\n{STACK}  presence: {{source: Nowhere}}\n");
        let told = problem(&wrong);
        assert!(told.contains("Nowhere") && told.contains("Stream") && told.contains('9'), "{told}");
        let told = problem(&STACK.replace("authorizer", "authoriser"));
        assert!(told.contains("authorizer"), "{told}");
    }

    #[test]
    fn a_field_that_does_not_exist_is_named_and_one_that_is_empty_is_not() {
        let told = problem(&format!("{STACK}  pusher: {{maxSpeed: 1, maxRate: 10}}\n  color: red\n"));
        assert!(told.contains("unknown field spec.color, spec.pusher.maxSpeed: correct its name"), "{told}");
        let empty = format!("{STACK}  tags: {{}}\n  messages: {{subscriptions: []}}\n  export: null\n");
        assert_eq!(read(&empty).unwrap().stacks.len(), 1);
    }

    #[test]
    fn another_version_of_the_resource_is_not_guessed_at() {
        let told = problem(&STACK.replace("v1alpha1", "v2"));
        assert!(
            told.contains("sumu.live/v2 is not known: this version of the operator has sumu.live/v1alpha1"),
            "{told}"
        );
    }

    #[test]
    fn an_object_without_a_name_is_no_stack() {
        assert!(problem(&STACK.replace("name: live, ", "")).contains("metadata.name is missing"));
    }
}
