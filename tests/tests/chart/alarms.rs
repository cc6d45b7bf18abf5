//! The chart's alarms and dashboard, held to the operator's metrics and their document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sumu_operator::metrics::ALL;
use sumu_tests::helm::{Helm, IMAGE, find, manifests, with_image};
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

use crate::cluster::{run, text};

/// The rules that the chart renders for a release in the namespace `here`.
fn rules(more: &Value) -> Result<Vec<Value>> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("values.json");
    let mut values = json!({"metrics": {"prometheusRule": {"enabled": true, "alertLabels": {"team": "chat"}}}});
    if let (Value::Object(values), Value::Object(more)) = (&mut values, more) {
        values.extend(more.clone());
    }
    std::fs::write(&file, with_image(&values).to_string())?;
    let chart = workspace::chart();
    let arguments = ["template", "sumu", text(&chart)?, "--namespace", "here", "--values", text(&file)?];
    let objects = manifests(&run(async { Helm::offline(home.path())?.ok(&arguments).await })?)?;
    let group = &find(&objects, "PrometheusRule", "")?["spec"]["groups"][0];
    Ok(group["rules"].as_array().context("no rules")?.clone())
}

/// An expression and for how long it must hold, as the document has them.
fn documented() -> Result<BTreeMap<String, Option<String>>> {
    let document = std::fs::read_to_string(workspace::root().join("docs/operator-metrics.md"))?;
    let (_, rest) = document.split_once("Worth an alarm:\n").context("no alarms")?;
    let table = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    table
        .map(|row| {
            let (expression, rest) =
                row.trim_start_matches("| `").split_once('`').context("a row without expression")?;
            let duration = rest.split(" | ").next().and_then(|rest| rest.split_once("for "));
            let duration = duration.map(|(_, words)| match words.trim() {
                "a minute" => "1m".to_owned(),
                words => words.replace(" minutes", "m"),
            });
            Ok((expression.to_owned(), duration))
        })
        .collect()
}

#[test]
fn the_alarms_are_those_of_the_document_for_the_operators_of_the_release() -> Result<()> {
    let rules = rules(&json!({}))?;
    let mut found = BTreeMap::new();
    for rule in &rules {
        let scoped = rule["expr"].as_str().context("no expression")?;
        let names = ALL.iter().map(|(name, ..)| scoped.matches(name).count()).sum::<usize>();
        ensure_eq!(scoped.matches("namespace=\"here\"").count(), names, "how often {scoped} says where");
        let plain = scoped.replace("{namespace=\"here\"}", "").replace(",namespace=\"here\"", "");
        found.insert(plain, rule["for"].as_str().map(ToOwned::to_owned));
        ensure_eq!(rule["labels"]["team"], json!("chat"), "the label");
        ensure!(rule["labels"]["severity"].is_string(), "{scoped} has no severity");
    }
    ensure_eq!(found.len(), 5, "the number of alarms");
    ensure_eq!(found, documented()?, "the alarms");
    Ok(())
}

#[test]
fn an_operator_that_looks_seldom_is_waited_for_longer() -> Result<()> {
    let rules = rules(&json!({"resyncSeconds": 3600}))?;
    let hangs = rules.iter().find(|rule| rule["alert"] == "SumuNothingSettles").context("no alarm")?;
    let expression = hangs["expr"].as_str().context("no expression")?;
    ensure!(expression.contains("[180m]"), "it looks at {expression}");
    Ok(())
}

#[test]
fn nobody_is_called_because_nobody_works_where_nobody_should() -> Result<()> {
    for (replicas, expected) in [(0, false), (1, true)] {
        let rules = rules(&json!({"replicas": replicas}))?;
        let called = rules.iter().any(|rule| rule["alert"] == "SumuNobodyWorks");
        ensure_eq!(called, expected, "with {replicas} replicas");
        ensure!(rules.iter().any(|rule| rule["alert"] == "SumuStackNotReady"), "the other alarms are gone");
    }
    Ok(())
}

/// The names of metrics in an expression, without what Prometheus adds to a histogram's.
fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("sumu_"));
    ours.map(|word| ["_bucket", "_sum", "_count"].iter().fold(word, |word, end| word.trim_end_matches(end)).to_owned())
        .collect()
}

#[test]
fn the_dashboard_shows_metrics_that_there_are_and_each_of_them_but_the_version() -> Result<()> {
    let path = workspace::chart().join("files/dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let shown: BTreeSet<String> =
        targets.flat_map(|target| metrics(target["expr"].as_str().unwrap_or_default())).collect();
    let there = ALL.iter().map(|(name, ..)| (*name).to_owned()).filter(|name| name != "sumu_build_info");
    ensure_eq!(shown, there.collect(), "the metrics");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    ensure_eq!(ids.len(), panels.len(), "panels with a number of their own");
    Ok(())
}

/// The labels by which an expression chooses series, and those by which it keeps sums apart.
fn labels(expression: &str) -> (Vec<&str>, Vec<&str>) {
    let chosen = expression.split('{').skip(1).flat_map(|rest| {
        let inside = rest.split('}').next().unwrap_or_default();
        inside.split(',').filter_map(|pair| pair.split(['=', '!']).next())
    });
    let kept = expression
        .match_indices("by (")
        .flat_map(|(at, words)| expression[at + words.len()..].split(')').next().unwrap_or_default().split(", "));
    (chosen.collect(), kept.collect())
}

#[test]
fn the_dashboard_asks_for_labels_that_the_metrics_have() -> Result<()> {
    let path = workspace::chart().join("files/dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let mut seen = 0;
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
        let expression = target["expr"].as_str().context("no expression")?;
        let (chosen, kept) = labels(expression);
        let name = metrics(expression).into_iter().next().context("no metric")?;
        ensure_eq!(metrics(expression).len(), 1, "how many metrics {expression} is about");
        let (_, _, there) = ALL.iter().find(|(known, ..)| *known == name).context("an unknown metric")?;
        // Prometheus adds where a series comes from, and `le` to a histogram's.
        let known = |label: &&str| there.contains(label) || ["namespace", "le"].contains(label);
        let asked: Vec<&str> = chosen.into_iter().chain(kept.clone()).collect();
        ensure!(asked.iter().all(known), "{expression} asks for {asked:?}, and there are {there:?}");
        let legend = target["legendFormat"].as_str().unwrap_or_default();
        let shown: Vec<&str> = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).collect();
        ensure!(shown.iter().all(|label| kept.contains(label)), "{legend} shows what {expression} adds up");
        seen += asked.len();
    }
    ensure!(seen > 20, "only {seen} labels were found");
    Ok(())
}

#[test]
fn the_dashboard_reaches_grafana_as_it_is() -> Result<()> {
    let home = tempfile::tempdir()?;
    let chart = workspace::chart();
    let values = format!("metrics.dashboard.enabled=true,image.repository={IMAGE}");
    let arguments = ["template", "sumu", text(&chart)?, "--set", &values];
    let objects = manifests(&run(async { Helm::offline(home.path())?.ok(&arguments).await })?)?;
    let map = find(&objects, "ConfigMap", "-dashboard")?;
    ensure_eq!(map["metadata"]["labels"]["grafana_dashboard"], json!("1"), "the sidecar's label");
    let shown = map["data"]["sumu-operator.json"].as_str().context("no dashboard")?;
    let committed = std::fs::read_to_string(workspace::chart().join("files/dashboard.json"))?;
    let (shown, committed): (Value, Value) = (serde_json::from_str(shown)?, serde_json::from_str(&committed)?);
    ensure!(shown == committed, "it is another one");
    Ok(())
}
