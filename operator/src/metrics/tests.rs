//! That the list of metrics is what is served, and that stacks are counted and not named.

use std::collections::BTreeMap;

use super::*;
use crate::cloud::aws::tests::an_attempt;
use crate::plan::step::GatewayStep;

/// Everything counted once.
fn counted() -> Metrics {
    let metrics = Metrics::default();
    metrics.passed(Outcome::Changed);
    metrics.took(Duration::from_millis(300));
    metrics.planned(&[GatewayStep::DeleteApi { api_id: "a1".into() }.into()]);
    metrics.is_ready("some-uid", "False", "AccessDenied");
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
    metrics.is_ready("one", "False", "Progressing");
    metrics.is_ready("one", "True", "Settled");
    metrics.is_ready("two", "True", "Settled");
    metrics.is_ready("three", "Unknown", "Unreachable");
    metrics.forget("three");
    let text = metrics.text().unwrap();
    let stacks: Vec<&str> = text.lines().filter(|line| line.starts_with("sumu_stacks{")).collect();
    assert_eq!(stacks, [r#"sumu_stacks{ready="True",reason="Settled"} 2"#]);
    assert!(!text.contains("\"one\""), "{text}");
}

#[test]
fn counters_of_passes_and_writes_begin_at_zero() {
    let text = Metrics::default().text().unwrap();
    for line in [r#"sumu_passes_total{outcome="failed"} 0"#, r#"sumu_kubernetes_writes_total{what="status"} 0"#] {
        assert!(text.contains(line), "{text}");
    }
}
