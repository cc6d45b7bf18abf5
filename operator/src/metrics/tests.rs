//! That the list of metrics is what is served, and that stacks are counted and not named.

use std::collections::BTreeMap;

use super::*;
use crate::cloud::aws::tests::an_attempt;
use crate::plan::step::GatewayStep;
use crate::sumu_stack::ConditionStatus;

fn condition(type_: &str, status: ConditionStatus, reason: &str) -> Condition {
    Condition {
        type_: type_.into(),
        status,
        reason: reason.into(),
        message: "a sentence with a name".into(),
        last_transition_time: "2026-01-01T00:00:00Z".into(),
        observed_generation: Some(1),
    }
}

fn ready(status: ConditionStatus, reason: &str) -> Vec<Condition> {
    vec![condition("Ready", status, reason)]
}

/// Everything counted once.
fn counted() -> Metrics {
    let metrics = Metrics::default();
    metrics.passed(Outcome::Changed);
    metrics.took(Duration::from_millis(300));
    metrics.planned(&[GatewayStep::DeleteApi { api_id: "a1".into() }.into()]);
    metrics.shows("some-uid", &ready(ConditionStatus::False, "AccessDenied"));
    an_attempt();
    metrics
}

#[test]
fn what_is_served_is_the_list_with_its_kinds_and_labels() {
    let text = counted().text().unwrap();
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let listed: BTreeMap<&str, &str> = ALL.iter().map(|(name, kind, _)| (*name, *kind)).collect();
    assert_eq!(kinds, listed);
    for (name, _, labels) in ALL {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let served = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        let mut served: Vec<&str> = served.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect();
        served.retain(|label| *label != "le");
        assert_eq!(served, labels, "{name}");
    }
}

#[test]
fn stacks_are_counted_by_what_they_are_now_and_not_named() {
    let metrics = Metrics::default();
    metrics.shows("one", &ready(ConditionStatus::False, "Progressing"));
    metrics.shows("one", &ready(ConditionStatus::True, "Settled"));
    metrics.shows("two", &ready(ConditionStatus::True, "Settled"));
    metrics.shows("three", &ready(ConditionStatus::Unknown, "Unreachable"));
    metrics.forget("three");
    let text = metrics.text().unwrap();
    let stacks: Vec<&str> = text.lines().filter(|line| line.starts_with("sumu_stacks{")).collect();
    assert_eq!(stacks, [r#"sumu_stacks{ready="True",reason="Settled"} 2"#]);
    assert!(!text.contains("\"one\""), "{text}");
}

#[test]
fn what_ready_does_not_tell_is_counted_by_its_condition_until_it_is_over() {
    let metrics = Metrics::default();
    let settled = || condition("Ready", ConditionStatus::True, "Settled");
    let logs = condition("AccessLogs", ConditionStatus::False, "ActionRequired");
    metrics.shows("one", &[settled(), logs.clone()]);
    metrics.shows("two", &[settled(), logs]);
    metrics.shows("three", &[settled(), condition("SubscriptionsConfirmed", ConditionStatus::False, "ActionRequired")]);
    metrics.shows("two", &[settled(), condition("AccessLogs", ConditionStatus::True, "Settled")]);
    let text = metrics.text().unwrap();
    let mut found: Vec<&str> = text.lines().filter(|line| line.starts_with("sumu_conditions{")).collect();
    found.sort_unstable();
    let expected = [
        r#"sumu_conditions{type="AccessLogs",status="False",reason="ActionRequired"} 1"#,
        r#"sumu_conditions{type="AccessLogs",status="True",reason="Settled"} 1"#,
        r#"sumu_conditions{type="Ready",status="True",reason="Settled"} 3"#,
        r#"sumu_conditions{type="SubscriptionsConfirmed",status="False",reason="ActionRequired"} 1"#,
    ];
    assert_eq!(found, expected);
}

#[test]
fn no_condition_makes_a_series_of_its_own() {
    let metrics = Metrics::default();
    metrics.shows("one", &[condition("Theirs", ConditionStatus::True, "arn:aws:sns:eu-west-1:123456789012:live")]);
    let text = metrics.text().unwrap();
    assert!(text.contains(r#"sumu_conditions{type="Other",status="True",reason="Other"} 1"#), "{text}");
}

#[test]
fn counters_of_passes_and_writes_begin_at_zero() {
    let text = Metrics::default().text().unwrap();
    for line in [r#"sumu_passes_total{outcome="failed"} 0"#, r#"sumu_kubernetes_writes_total{what="status"} 0"#] {
        assert!(text.contains(line), "{text}");
    }
}
