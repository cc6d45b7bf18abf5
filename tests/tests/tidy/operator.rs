//! The document of what the operator tells, held to the operator's source.

use std::collections::{BTreeMap, BTreeSet};

use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

use crate::{File, sources};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A message's level, and the names of its members.
type Event = (String, BTreeSet<String>);

fn document() -> Result<String> {
    Ok(std::fs::read_to_string(workspace::root().join("docs/operator-metrics.md"))?)
}

fn operator() -> Result<Vec<File>> {
    Ok(sources()?.into_iter().filter(|file| file.path.starts_with("operator/src/")).collect())
}

/// The cells of the table whose head begins so.
fn table<'a>(document: &'a str, head: &str) -> Result<Vec<Vec<&'a str>>> {
    let (_, rest) = document.split_once(&format!("\n{head}")).with_context(|| format!("no table {head:?}"))?;
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    Ok(rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect())
}

/// The words between backticks.
fn words(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned)
}

/// The arguments of a macro, from behind its opening parenthesis, and none when it never closes.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut is_text, mut is_escaped, mut begin) = (0, false, false, 0);
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            _ if is_text => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                found.push(text[begin..at].trim());
                return found;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    Vec::new()
}

/// Every line that a source file may log: the message, its level and its members.
fn logged(source: &str) -> Vec<(String, Event)> {
    let mut found = Vec::new();
    for level in LEVELS {
        let call = format!("{level}!(");
        for (at, _) in source.match_indices(&call) {
            if source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let mut arguments = arguments(&source[at + call.len()..]);
            arguments.retain(|argument| !argument.is_empty());
            let message = arguments.pop().unwrap_or_default().trim_matches('"').to_owned();
            let name = |argument: &&str| {
                let begin = argument.trim_start_matches(['%', '?']);
                begin.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default().to_owned()
            };
            found.push((message, (level.to_owned(), arguments.iter().map(name).collect())));
        }
    }
    found
}

#[test]
fn the_document_has_every_line_that_the_operator_logs_with_its_level_and_members() -> Result<()> {
    let document = document()?;
    let mut told = BTreeMap::new();
    for row in table(&document, "| message | level |")? {
        let [message, level, members] = row[..] else { continue };
        told.insert(message.trim_matches('`').to_owned(), (level.to_owned(), words(members).collect()));
    }
    let known: BTreeMap<String, Event> = operator()?.iter().flat_map(|file| logged(&file.text)).collect();
    ensure!(known.len() > 20, "only {known:?} were found");
    ensure_eq!(told, known, "what docs/operator-metrics.md says is logged, and what is");
    let explained = table(&document, "| member | |")?;
    let explained: BTreeSet<String> = explained.iter().flat_map(|row| words(row[0])).collect();
    let used: BTreeSet<String> = known.into_values().flat_map(|(_, members)| members).collect();
    ensure_eq!(explained, used, "the members that are explained, and those that there are");
    Ok(())
}

#[test]
fn the_document_has_every_kind_of_resource_that_steps_are_counted_by() -> Result<()> {
    let document = document()?;
    let row = table(&document, "| metric |")?.into_iter().find(|row| row[0] == "`sumu_steps_total`");
    let told: BTreeSet<String> = words(row.and_then(|row| row.last().copied()).context("no row")?).collect();
    let mut known: BTreeSet<String> = ["create", "change", "delete"].map(ToOwned::to_owned).into();
    for file in operator()?.iter().filter(|file| file.path.starts_with("operator/src/plan/")) {
        let body = file.text.split_once("fn resource(").and_then(|(_, rest)| rest.split_once("\n    }\n"));
        let words = body.map(|(body, _)| body.split('"').skip(1).step_by(2)).into_iter().flatten();
        known.extend(words.map(ToOwned::to_owned));
    }
    ensure!(known.len() > 12, "only {known:?} were found");
    ensure_eq!(told, known, "verbs and resources");
    Ok(())
}

#[test]
fn log_lines_are_found_with_their_members() {
    let source = r#"
        warn!("a (message), with \"all\" of it");
        info!(
            stack,
            count = list.iter().map(|a| (a, 1)).count(),
            %error,
            "told"
        );
        my_info!("not one");
    "#;
    let event = |level: &str, members: &[&str]| (level.to_owned(), members.iter().map(ToString::to_string).collect());
    let expected: Vec<(String, Event)> = vec![
        (r#"a (message), with \"all\" of it"#.to_owned(), event("warn", &[])),
        ("told".to_owned(), event("info", &["stack", "count", "error"])),
    ];
    assert_eq!(logged(source), expected);
}
