//! The strict gateway's own tests: what AWS's SDK sees of each rule and of each fault.

#[path = "gateway/api.rs"]
mod api;
#[path = "gateway/bench.rs"]
mod bench;
#[path = "gateway/callers.rs"]
mod callers;
#[path = "gateway/domains.rs"]
mod domains;
#[path = "gateway/executors.rs"]
mod executors;
#[path = "gateway/faults.rs"]
mod faults;
#[path = "gateway/forms.rs"]
mod forms;
#[path = "gateway/functions.rs"]
mod functions;
#[path = "gateway/lists.rs"]
mod lists;
#[path = "gateway/messaging.rs"]
mod messaging;
#[path = "gateway/passing.rs"]
mod passing;
#[path = "gateway/rates.rs"]
mod rates;
#[path = "gateway/roles.rs"]
mod roles;
#[path = "gateway/simulator.rs"]
mod simulator;
#[path = "gateway/sources.rs"]
mod sources;
#[path = "gateway/tables.rs"]
mod tables;

use std::collections::BTreeSet;

use sumu_tests::gateway::rule;
use sumu_tests::{Result, ensure, ensure_eq, workspace};

#[test]
fn every_rule_has_a_name_of_its_own_and_a_test() -> Result<()> {
    let folder = workspace::root().join("tests/tests/gateway");
    let mut tests = String::new();
    for file in std::fs::read_dir(folder)? {
        tests.push_str(&std::fs::read_to_string(file?.path())?);
    }
    let names: Vec<&str> = rule::all().map(|rule| rule.name).collect();
    ensure_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each name is there once");
    let untested: Vec<_> = names.iter().filter(|name| !tests.contains(&format!("\"{name}\""))).collect();
    ensure!(untested.is_empty(), "rules without a test: {untested:?}");
    Ok(())
}

#[test]
fn the_document_has_the_rules_as_they_are() -> Result<()> {
    let document = std::fs::read_to_string(workspace::root().join("docs/fidelity.md"))?;
    ensure!(document.contains(&rule::table()), "copy what `gateway --list-rules` prints to docs/fidelity.md");
    Ok(())
}
