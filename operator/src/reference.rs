//! The reference of the custom resource as a page of Markdown, from the schema that the API server checks objects by.
//!
//! `docs/reference.md` is this text; a tidy test compares them. Pure.

use std::fmt::Write as _;

use kube::CustomResourceExt as _;
use serde_json::Value;

use crate::sumu_stack::SumuStack;

/// How long a cell may be before its table is hard to read: longer lists of values are cut off.
const VALUES_MAX: usize = 12;

const HEAD: &str = "# SumuStack reference

Generated from the types by `sumu-operator reference`; do not edit. The same is shown by
`kubectl explain sumustack.spec --recursive`. A field in **bold** must be set. What a rule refuses, the API server refuses
with the sentence that stands here.
";

/// The page.
#[must_use]
pub fn reference() -> String {
    // A definition of ours is always JSON.
    let crd = serde_json::to_value(SumuStack::crd()).unwrap_or_default();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"]["properties"];
    let (group, name) = (text(&crd["spec"]["group"]), text(&version["name"]));
    let mut page = format!("{HEAD}\n`apiVersion: {group}/{name}`, `kind: {}`\n", text(&crd["spec"]["names"]["kind"]));
    for part in ["spec", "status"] {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {part}\n\n| field | type | default | |\n|---|---|---|---|\n");
        rows(part, &schema[part], &mut page);
        let mut rules = String::new();
        list_rules(part, &schema[part], &mut rules);
        if !rules.is_empty() {
            let _ = write!(page, "\n### Rules\n\n{rules}");
        }
    }
    let _ = write!(
        page,
        "\n## Columns\n\n`kubectl get sumu` shows these; the last ones with `-o wide` alone.\n\n{}",
        columns(version)
    );
    page
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One row a field, the fields of an object behind it.
fn rows(path: &str, schema: &Value, page: &mut String) {
    let required = schema["required"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.iter().any(|required| required == name);
        let path = format!("{path}.{name}");
        let shown = if is_required { format!("**`{path}`**") } else { format!("`{path}`") };
        let (type_, default, what) = (type_of(field), default_of(field), described(&field["description"]));
        let _ = writeln!(page, "| {shown} | {type_} | {default} | {what} |");
        match text(&field["type"]) {
            "array" => rows(&format!("{path}[]"), &field["items"], page),
            _ => rows(&path, field, page),
        }
    }
}

fn type_of(schema: &Value) -> String {
    let values = schema["enum"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    if !values.is_empty() {
        let words = values.iter().take(VALUES_MAX).map(|value| format!("`{}`", plain(value))).collect::<Vec<_>>();
        let more = if values.len() > VALUES_MAX { ", …" } else { "" };
        return format!("{}{more}", words.join(", "));
    }
    let of = |bounds: [&str; 2]| bounds.map(|bound| schema[bound].as_f64());
    let type_ = match text(&schema["type"]) {
        "array" => {
            return format!("list of {}", type_of(&schema["items"])) + &range(of(["minItems", "maxItems"]), " of them");
        }
        "object" if schema["additionalProperties"].is_object() => {
            return format!("map of {}", type_of(&schema["additionalProperties"]))
                + &range(of(["minProperties", "maxProperties"]), " of them");
        }
        "string" => return "string".to_owned() + &range(of(["minLength", "maxLength"]), " characters"),
        other => other,
    };
    type_.to_owned() + &range(of(["minimum", "maximum"]), "")
}

fn range([min, max]: [Option<f64>; 2], unit: &str) -> String {
    match (min, max) {
        (None, None) => String::new(),
        (Some(min), None) => format!(", {min} or more{unit}"),
        (None, Some(max)) => format!(", up to {max}{unit}"),
        (Some(min), Some(max)) => format!(", {min} to {max}{unit}"),
    }
}

/// Those of objects are the defaults of their fields.
fn default_of(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null | Value::Object(_) => String::new(),
        default => format!("`{}`", plain(default)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// A description on one line of a table.
fn described(description: &Value) -> String {
    let words: Vec<&str> = text(description).split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn list_rules(path: &str, schema: &Value, page: &mut String) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let _ = writeln!(page, "- `{path}`: {}", text(&rule["message"]));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        list_rules(&format!("{path}.{name}"), field, page);
    }
    if schema["items"].is_object() {
        list_rules(&format!("{path}[]"), &schema["items"], page);
    }
}

fn columns(version: &Value) -> String {
    let mut shown = String::from("| column | from |\n|---|---|\n");
    let columns = version["additionalPrinterColumns"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let is_wide = |column: &&Value| column["priority"].as_i64().unwrap_or(0) > 0;
    for column in columns.iter().filter(|column| !is_wide(column)).chain(columns.iter().filter(is_wide)) {
        let wide = if is_wide(&column) { " (wide)" } else { "" };
        let _ = writeln!(shown, "| {}{wide} | `{}` |", text(&column["name"]), text(&column["jsonPath"]));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_type_its_bounds_its_default_and_its_sentence() {
        let page = reference();
        for row in [
            "| **`spec.authorizer.issuers[].jwksUri`** | string",
            "| `spec.connections.ttlSeconds` | integer, 7200 to 86400 | `7200` | How long a connection counts",
            "| `spec.deletionPolicy` | `Delete`, `Retain` | `Delete` | What happens",
            "| `spec.tags` | map of string, up to 256 characters, up to 40 of them |  | Tags for every AWS resource",
            "| `status.notifications.topicArn` | string |  | The topic's ARN. |",
            "- `spec`: spec.stageName cannot change",
            "| Endpoint | `.status.endpoint` |",
        ] {
            assert!(page.contains(row), "no {row:?} in\n{page}");
        }
    }
}
