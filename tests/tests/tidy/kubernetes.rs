//! The documents about what Kubernetes shows, held to the code.

use std::collections::BTreeSet;
use std::process::Command;

use sumu_operator::desired::access_logs::FIELDS;
use sumu_operator::status::events::{ALL as EVENTS, REFUSALS};
use sumu_operator::status::export::KEYS;
use sumu_operator::status::{READY, REASONS_FOR_A_PERSON, REASONS_IN_ORDER, REASONS_THAT_PASS, STALLED, TYPES};
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

fn document(name: &str) -> Result<String> {
    let path = workspace::root().join("docs").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The rows of the first table behind a heading.
fn rows<'a>(document: &'a str, heading: &str) -> Result<Vec<&'a str>> {
    let (_, rest) = document.split_once(&format!("\n{heading}\n")).with_context(|| format!("no {heading:?}"))?;
    let table = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    Ok(table.skip(2).collect())
}

/// The words between backticks in a row's first cell.
fn words(row: &str) -> impl Iterator<Item = &str> {
    let cell = row.trim_start_matches("| ").split(" | ").next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2)
}

fn first_words<'a>(rows: &[&'a str]) -> BTreeSet<&'a str> {
    rows.iter().flat_map(|row| words(row)).collect()
}

#[test]
fn the_document_of_conditions_has_every_type_and_reason_and_no_other() -> Result<()> {
    let document = document("conditions.md")?;
    let conditions = rows(&document, "## Conditions")?;
    ensure_eq!(first_words(&conditions), BTreeSet::from(TYPES), "types of conditions");
    let known = [&REASONS_IN_ORDER[..], &REASONS_FOR_A_PERSON, &REASONS_THAT_PASS].concat();
    let told = rows(&document, "## Reasons")?;
    ensure_eq!(first_words(&told), known.into_iter().collect(), "reasons");
    let stalled = conditions.iter().find(|row| row.starts_with(&format!("| `{STALLED}` "))).context("no row")?;
    let named: BTreeSet<&str> = stalled.split('`').skip(3).step_by(2).collect();
    ensure_eq!(named, BTreeSet::from(REASONS_FOR_A_PERSON), "the reasons that only a person ends");
    Ok(())
}

#[test]
fn the_document_of_events_has_every_reason_and_no_other() -> Result<()> {
    let document = document("conditions.md")?;
    let told = rows(&document, "## Events")?;
    let told = first_words(&told);
    // What an event is made of: words of its own, and the reasons of `Ready` that somebody may have to act on.
    let troubles = ["Throttled", "Unreachable", "InternalError", "InUse"];
    let known = EVENTS.into_iter().chain(REASONS_FOR_A_PERSON).chain(troubles).chain(REFUSALS);
    let known: BTreeSet<&str> = known.collect();
    ensure_eq!(told, known, "reasons of events");
    Ok(())
}

#[test]
fn the_document_of_operations_says_what_to_do_for_every_reason() -> Result<()> {
    let document = document("operations.md")?;
    let told = rows(&document, "## What to do for each reason")?;
    let told = first_words(&told);
    // `Settled` needs nothing; two are of other conditions, and two classes of failures end within a pass.
    let silent = ["Settled", "SuspendedByUser", "NotFound", "AlreadyExists"];
    let known = [&REASONS_IN_ORDER[..], &REASONS_FOR_A_PERSON, &REASONS_THAT_PASS].concat();
    let known: BTreeSet<&str> = known.into_iter().filter(|reason| !silent.contains(reason)).collect();
    ensure_eq!(told, known, "reasons");
    Ok(())
}

#[test]
fn the_rule_for_argo_cd_knows_no_other_conditions_and_no_other_words_than_there_are() -> Result<()> {
    let document = document("operations.md")?;
    let rule = document.split("```yaml\n").find(|block| block.starts_with("resource.customizations.health."));
    let rule = rule.and_then(|rule| rule.split("```").next()).context("no rule")?;
    let (key, program) = rule.split_once(": |\n").context("no program")?;
    ensure_eq!(key, "resource.customizations.health.sumu.live_SumuStack", "group and kind");
    let types: BTreeSet<&str> =
        program.split("found[\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    ensure_eq!(types, BTreeSet::from([READY, STALLED]), "the conditions that it looks for");
    let statuses: BTreeSet<&str> =
        program.split("status = \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    ensure_eq!(statuses, BTreeSet::from(["Degraded", "Healthy", "Progressing", "Suspended"]), "Argo CD's words");
    Ok(())
}

#[test]
fn the_document_of_the_export_has_every_key_and_no_other() -> Result<()> {
    let document = document("export.md")?;
    let told: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).flat_map(words).collect();
    ensure_eq!(told, KEYS, "keys");
    Ok(())
}

#[test]
fn the_document_of_access_logs_has_every_member_and_no_other() -> Result<()> {
    let document = document("access-logs.md")?;
    let told = rows(&document, "## A line")?;
    let told: Vec<Vec<&str>> = told.iter().map(|row| row.split('`').skip(1).step_by(2).take(2).collect()).collect();
    let expected: Vec<Vec<&str>> = FIELDS.iter().map(|(name, variable)| vec![*name, *variable]).collect();
    ensure_eq!(told, expected, "members of a line, with their variables");
    Ok(())
}

#[test]
fn the_committed_reference_is_what_the_types_say() -> Result<()> {
    let generated = Command::new(workspace::program("sumu-operator")?).arg("reference").output()?;
    ensure!(generated.status.success(), "{}", String::from_utf8_lossy(&generated.stderr));
    let committed = document("reference.md")?;
    ensure!(committed.as_bytes() == generated.stdout, "docs/reference.md is not up to date: run `make crds`");
    Ok(())
}
