//! Lines as they are written.

mod functions;
mod secrets;

use serde_json::{Value, json};
use sumu_contract::function::Function;

use super::metric::{ALL, ALLOWED, FRAMES, JWKS_AGE, OTHER, POST_LATENCY, REFUSALS, ROUTE, Unit};
use super::testing::{line, metrics, written};
use super::{Chain, Distribution, Line};
use crate::ports::PortError;

const NOW: u64 = 1_700_000_000_123;

#[test]
fn a_chain_names_every_cause_once() {
    let error = PortError::new("Query", PortError::new("dial", "no route"));
    assert_eq!(Chain(&error).to_string(), "Query failed: dial failed: no route");
}

#[test]
fn a_line_has_its_metrics_at_the_root_and_says_which_they_are() {
    let line = line(|| {
        let mut line = Line::of(Function::Authorizer);
        line.note("ms", 7).note("reason", Value::Null).value(JWKS_AGE, Some(0)).count_one_by(REFUSALS, "Expired");
        line.log(NOW);
    });
    assert_eq!(line["_aws"]["Timestamp"], NOW);
    assert_eq!(
        line["_aws"]["CloudWatchMetrics"],
        json!([
            {"Namespace": "SUMU", "Dimensions": [["FunctionName"]], "Metrics": [
                {"Name": "JwksAge", "Unit": "Seconds"},
                {"Name": "Refusals", "Unit": "Count"},
                {"Name": "VerdictFailures", "Unit": "Count"},
            ]},
            {"Namespace": "SUMU", "Dimensions": [["FunctionName", "Reason"]], "Metrics": [
                {"Name": "Refusals", "Unit": "Count"},
            ]},
        ])
    );
    assert_eq!(metrics(&line), [("Refusals", &json!(1))]);
    for (name, value) in [("FunctionName", json!("sumu-live-it")), ("Reason", json!("Expired")), ("ms", json!(7))] {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!((&line["level"], &line["function"]), (&json!("INFO"), &json!("authorizer")));
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    assert!(line.get("reason").is_none(), "{line}");
}

#[test]
fn what_is_zero_is_left_out_unless_alarms_stand_on_it() {
    let line = line(|| {
        let mut line = Line::of(Function::Authorizer);
        line.count(ALLOWED, 0_u64).value(JWKS_AGE, None);
        line.log(NOW);
    });
    assert_eq!((line.get("Allowed"), line.get("JwksAge")), (None, None));
    assert_eq!((&line["Refusals"], &line["VerdictFailures"]), (&json!(0), &json!(0)));
}

#[test]
fn many_values_make_one_list_that_cloudwatch_takes() {
    let latency = Distribution::default();
    (0..5_000).for_each(|value| latency.record(value));
    let line = line(|| {
        let mut line = Line::of(Function::Pusher);
        line.values(POST_LATENCY, &latency);
        line.log(NOW);
    });
    assert_eq!(line["PostLatency"].as_array().map(Vec::len), Some(100));
}

#[test]
fn a_dimension_takes_no_value_that_is_not_on_its_list() {
    assert_eq!((ROUTE.bounded("ping"), ROUTE.bounded("shout")), ("ping", OTHER));
    let line = line(|| {
        let mut line = Line::of(Function::Routes);
        line.count_one_by(FRAMES, "alice's own action");
        line.log(NOW);
    });
    assert_eq!(line["Route"], OTHER);
}

#[test]
fn a_line_and_a_warning_of_an_invocation_tell_the_same_request() {
    let written = written(|| {
        let _span = tracing::info_span!("Lambda runtime invoke", requestId = "r-1").entered();
        tracing::warn!(error = "why", "not passed on");
        Line::of(Function::Routes).log(NOW);
    });
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let span = json!({"requestId": "r-1", "name": "Lambda runtime invoke"});
    assert_eq!((&lines[0]["span"], &lines[1]["span"]), (&span, &span), "{written}");
    assert_eq!(
        (&lines[0]["level"], &lines[0]["error"], &lines[0]["message"]),
        (&json!("WARN"), &json!("why"), &json!("not passed on"))
    );
    assert!(lines[0].get("_aws").is_none() && lines[1].get("_aws").is_some(), "{written}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_panic_tells_its_place_and_not_what_it_quotes() {
    let secret = "payload of a client";
    let written = written(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(super::panicked));
        let _ = std::panic::catch_unwind(|| panic!("{secret}"));
        std::panic::set_hook(before);
    });
    let line: Value = serde_json::from_str(written.trim()).unwrap();
    assert!(line["place"].as_str().is_some_and(|place| place.contains("telemetry")), "{line}");
    assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!("panicked")));
    assert!(!written.contains(secret));
}

#[test]
fn names_are_cloudwatchs_own_and_each_is_there_once() {
    let mut names: Vec<&str> = ALL.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for metric in ALL {
        assert!(metric.name.chars().all(char::is_alphanumeric) && metric.name.starts_with(char::is_uppercase));
        assert!(!metric.functions.is_empty());
        // A duration would be 0 where it was not measured.
        assert!(!metric.is_always_there || metric.unit == Unit::Count, "{metric:?}");
    }
}
