//! What a line must keep to so that `CloudWatch` takes its metrics out of it, after AWS's "Specification: Embedded
//! metric format". Tests hold lines to it, of unit tests and of the whole system.
//!
//! `CloudWatch` tells nobody of a document that it does not like but by a metric of its own (`AWS/Logs`,
//! `EMFValidationErrors`), and an emulator takes anything.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The largest log event.
const LINE_BYTES_MAX: usize = 1024 * 1024;

const METRICS_MAX: usize = 100;
const DIMENSIONS_MAX: usize = 30;
const VALUES_MAX: usize = 100;
const TEXT_MAX: usize = 255;
const DIMENSION_VALUE_MAX: usize = 1024;

/// `CloudWatch` refuses times further away than two weeks in the past: a time in seconds is one of 1970.
const TIMESTAMP_MIN: u64 = 1_000_000_000_000;

/// The units that there are, but for those of bytes and bits, which nothing here has.
const UNITS: [&str; 7] = ["Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"];

/// Everything that is wrong with a line; nothing when it is right.
#[must_use]
pub fn violations(line: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if line.len() > LINE_BYTES_MAX {
        wrong.push(format!("the line has {} bytes", line.len()));
    }
    let Ok(Value::Object(root)) = serde_json::from_str(line) else {
        return vec!["the line is not a JSON object with nothing before and behind it".to_owned()];
    };
    let Some(Value::Object(aws)) = root.get("_aws") else {
        wrong.push("_aws is not an object".to_owned());
        return wrong;
    };
    if aws.get("Timestamp").and_then(Value::as_u64).is_none_or(|timestamp| timestamp < TIMESTAMP_MIN) {
        wrong.push("_aws.Timestamp is not a number of epoch milliseconds".to_owned());
    }
    match aws.get("CloudWatchMetrics") {
        Some(Value::Array(directives)) if !directives.is_empty() => {
            for directive in directives {
                of_directive(directive, &root, &mut wrong);
            }
            of_repeats(directives, &mut wrong);
        }
        _ => wrong.push("_aws.CloudWatchMetrics is not a list of directives".to_owned()),
    }
    let unknown = aws.keys().filter(|name| !["Timestamp", "CloudWatchMetrics"].contains(&name.as_str()));
    wrong.extend(unknown.map(|name| format!("_aws.{name} is nothing that the specification knows")));
    wrong
}

fn of_directive(directive: &Value, root: &Map<String, Value>, wrong: &mut Vec<String>) {
    if !is_text(&directive["Namespace"], TEXT_MAX) || directive["Namespace"].as_str().is_some_and(|n| n.contains(':')) {
        wrong.push(format!("the namespace {}", directive["Namespace"]));
    }
    match directive["Dimensions"].as_array() {
        Some(sets) if !sets.is_empty() => {
            for set in sets {
                of_dimensions(set, root, wrong);
            }
        }
        _ => wrong.push("Dimensions is not a list of sets".to_owned()),
    }
    let Some(metrics) = directive["Metrics"].as_array() else {
        wrong.push("Metrics is not a list".to_owned());
        return;
    };
    if metrics.is_empty() || metrics.len() > METRICS_MAX {
        wrong.push(format!("a directive of {} metrics", metrics.len()));
    }
    for metric in metrics {
        of_metric(metric, root, wrong);
    }
}

fn of_dimensions(set: &Value, root: &Map<String, Value>, wrong: &mut Vec<String>) {
    let Some(names) = set.as_array().filter(|names| names.len() <= DIMENSIONS_MAX) else {
        wrong.push(format!("the dimensions {set}"));
        return;
    };
    for name in names {
        let value = name.as_str().filter(|_| is_text(name, TEXT_MAX)).and_then(|name| root.get(name));
        if !value.is_some_and(|value| is_text(value, DIMENSION_VALUE_MAX)) {
            wrong.push(format!("the dimension {name} is {value:?} at the root"));
        }
    }
}

fn of_metric(metric: &Value, root: &Map<String, Value>, wrong: &mut Vec<String>) {
    let name = &metric["Name"];
    let value = name.as_str().filter(|_| is_text(name, TEXT_MAX)).and_then(|name| root.get(name));
    let is_right = match value {
        Some(Value::Number(_)) => true,
        Some(Value::Array(values)) => {
            !values.is_empty() && values.len() <= VALUES_MAX && values.iter().all(Value::is_number)
        }
        _ => false,
    };
    if !is_right {
        wrong.push(format!("the metric {name} is {value:?} at the root"));
    }
    if metric.get("Unit").is_some_and(|unit| !unit.as_str().is_some_and(|unit| UNITS.contains(&unit))) {
        wrong.push(format!("the unit of {metric}"));
    }
    if metric.get("StorageResolution").is_some_and(|seconds| *seconds != 1 && *seconds != 60) {
        wrong.push(format!("the resolution of {metric}"));
    }
}

/// The specification does not forbid it, but a metric that a line has twice with the same dimensions counts twice.
fn of_repeats(directives: &[Value], wrong: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for directive in directives {
        for set in directive["Dimensions"].as_array().into_iter().flatten() {
            for metric in directive["Metrics"].as_array().into_iter().flatten() {
                if !seen.insert((set.to_string(), metric["Name"].to_string())) {
                    wrong.push(format!("the metric {} twice with {set}", metric["Name"]));
                }
            }
        }
    }
}

/// Of one character at least, and of ASCII that can be printed, as names and values of dimensions must be.
fn is_text(value: &Value, max: usize) -> bool {
    let is_printable = |text: &str| text.chars().all(|character| matches!(character, ' '..='~'));
    value.as_str().is_some_and(|text| !text.trim().is_empty() && text.len() <= max && is_printable(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "_aws": {
                "Timestamp": 1_700_000_000_000_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "N", "Dimensions": [["D"], []],
                    "Metrics": [{"Name": "A", "Unit": "Count"}, {"Name": "B", "StorageResolution": 60}],
                }],
            },
            "D": "d", "A": 1, "B": [1, 2.5], "anything": {"else": null},
        })
    }

    #[test]
    fn a_document_after_the_specification_has_no_violation() {
        assert_eq!(violations(&good().to_string()), [] as [&str; 0]);
    }

    #[test]
    fn every_rule_finds_what_breaks_it() {
        let directive = "/_aws/CloudWatchMetrics/0";
        let many = |count| json!((0..count).map(|_| 1).collect::<Vec<_>>());
        let breaks = [
            ("/_aws", json!(null), "_aws is"),
            ("/_aws/Timestamp", json!(1_700_000_000), "Timestamp"),
            ("/_aws/CloudWatchMetrics", json!([]), "CloudWatchMetrics"),
            (&format!("{directive}/Namespace"), json!(""), "namespace"),
            (&format!("{directive}/Namespace"), json!("a:b"), "namespace"),
            (&format!("{directive}/Dimensions"), json!([]), "Dimensions"),
            (&format!("{directive}/Dimensions/0"), json!(["E"]), "dimension"),
            (&format!("{directive}/Dimensions/0"), json!(vec!["D"; 31]), "dimensions"),
            ("/D", json!(" "), "dimension"),
            ("/D", json!(1), "dimension"),
            (&format!("{directive}/Metrics"), json!(null), "Metrics"),
            (&format!("{directive}/Metrics"), json!([]), "0 metrics"),
            (&format!("{directive}/Metrics"), json!(vec![json!({"Name": "A"}); 101]), "101 metrics"),
            (&format!("{directive}/Metrics/0/Name"), json!("C"), "metric"),
            (&format!("{directive}/Metrics/0/Name"), json!("B"), "twice"),
            (&format!("{directive}/Metrics/0/Unit"), json!("Posts"), "unit"),
            (&format!("{directive}/Metrics/1/StorageResolution"), json!(5), "resolution"),
            ("/A", json!("1"), "metric"),
            ("/B", json!([]), "metric"),
            ("/B", json!(["1"]), "metric"),
            ("/B", many(101), "metric"),
        ];
        for (place, value, expected) in breaks {
            let mut document = good();
            *document.pointer_mut(place).unwrap() = value.clone();
            let found = violations(&document.to_string());
            assert!(found.iter().any(|violation| violation.contains(expected)), "{place} = {value}: {found:?}");
        }
        assert!(violations("{\"a\":1} and more")[0].contains("JSON object"));
        let mut long = good();
        long["anything"] = json!("x".repeat(LINE_BYTES_MAX));
        assert!(violations(&long.to_string())[0].contains("bytes"));
    }
}
