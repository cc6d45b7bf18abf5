//! The chart's values: each has a meaning, a place in the schema and a row in the table.

use std::collections::BTreeSet;

use serde_json::Value;
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

/// Set to write the table instead of comparing it.
const WRITE: &str = "SUMU_WRITE_CHART";
const BEGIN: &str = "<!-- made of values.yaml by `make chart` -->\n";
const END: &str = "<!-- the end of what is made -->\n";

fn read(name: &str) -> Result<String> {
    let path = workspace::chart().join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The path of each key of a file of block maps, in the file's order, with what stands above it, if anything.
fn comments(yaml: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for line in yaml.lines() {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if let Some(words) = text.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        if let Some((key, _)) = text.split_once(':').filter(|(key, _)| !key.starts_with("- ")) {
            path.truncate(depth);
            path.push(key);
            found.push((path.join("."), comment.join(" ")));
        }
        comment.clear();
    }
    found
}

/// Path, default and meaning of each value, in the file's order. A map none of whose members has a comment is one value.
fn rows(values: &str) -> Result<Vec<(String, String, String)>> {
    let tree: Value = serde_saphyr::from_str(values)?;
    let comments = comments(values);
    let mut rows = Vec::new();
    let mut inside_of_the_last: Option<String> = None;
    for (path, meaning) in &comments {
        let begin = format!("{path}.");
        let is_section = comments.iter().any(|(member, meaning)| member.starts_with(&begin) && !meaning.is_empty());
        if is_section || inside_of_the_last.as_ref().is_some_and(|last| path.starts_with(last)) {
            continue;
        }
        ensure!(!meaning.is_empty(), "values.yaml says nothing above {path}");
        let default = path.split('.').fold(&tree, |value, name| &value[name]);
        rows.push((path.clone(), default.to_string(), meaning.clone()));
        inside_of_the_last = Some(begin);
    }
    Ok(rows)
}

#[test]
fn the_table_of_the_charts_document_has_every_value_with_its_default_and_meaning() -> Result<()> {
    let rows = rows(&read("values.yaml")?)?;
    ensure!(rows.len() > 40, "only {} values were found", rows.len());
    let mut table = vec!["| value | default | meaning |\n|---|---|---|\n".to_owned()];
    for (path, default, meaning) in rows {
        ensure!(!format!("{default}{meaning}").contains('|'), "{path} would break the table");
        table.push(format!("| `{path}` | `{default}` | {meaning} |\n"));
    }
    let table = table.concat();
    let document = read("README.md")?;
    let (before, rest) = document.split_once(BEGIN).context("README.md does not say where the table begins")?;
    let (committed, after) = rest.split_once(END).context("README.md does not say where the table ends")?;
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(workspace::chart().join("README.md"), format!("{before}{BEGIN}{table}{END}{after}"))?;
        return Ok(());
    }
    ensure!(committed == table, "charts/sumu-operator/README.md is not up to date: run `make chart`");
    Ok(())
}

/// The paths of all members that a schema describes.
fn described(schema: &Value, definitions: &Value, path: &str, found: &mut BTreeSet<String>) -> Result<()> {
    let schema = match schema["$ref"].as_str() {
        Some(name) => &definitions[name.trim_start_matches("#/definitions/")],
        None => schema,
    };
    ensure!(schema.is_object(), "{path} names a definition that is not there");
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        described(member, definitions, &path, found)?;
        found.insert(path);
    }
    Ok(())
}

#[test]
fn the_schema_knows_every_value_and_no_section_that_has_none() -> Result<()> {
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let mut known = BTreeSet::new();
    described(&schema, &schema["definitions"], "", &mut known)?;
    let comments = comments(&read("values.yaml")?);
    let there: BTreeSet<String> = comments.into_iter().map(|(path, _)| path).collect();
    let begins_with = |path: &str, begins: &[&str]| begins.iter().any(|begin| path.starts_with(begin));
    let free = ["nodeSelector.", "metrics.dashboard.labels.", "resources."];
    let unknown: Vec<&String> = there.difference(&known).filter(|path| !begins_with(path, &free)).collect();
    ensure!(unknown.is_empty(), "the schema does not know {unknown:?}");
    // What Kubernetes lets one say more of a security context and the like needs no default.
    let of_kubernetes = ["podSecurityContext.", "securityContext.", "affinity.", "resources."];
    let idle: Vec<&String> = known.difference(&there).filter(|path| !begins_with(path, &of_kubernetes)).collect();
    ensure!(idle.is_empty(), "values.yaml has no {idle:?}");
    Ok(())
}

/// A schema without this would take a misspelt value for one that is not set.
#[test]
fn no_part_of_the_schema_takes_what_it_does_not_know() -> Result<()> {
    fn walk(schema: &Value, path: &str, open: &mut Vec<String>) {
        if schema["properties"].is_object() && schema["additionalProperties"] != Value::Bool(false) {
            open.push(path.to_owned());
        }
        let parts = schema.as_object().into_iter().flatten();
        for (name, part) in parts {
            walk(part, &format!("{path}/{name}"), open);
        }
    }
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let mut open = Vec::new();
    walk(&schema, "", &mut open);
    // A value that is itself called `properties` would be taken for one; there is none.
    ensure!(open.is_empty(), "these take anything: {open:?}");
    Ok(())
}

#[test]
fn the_chart_has_the_version_of_the_programs() -> Result<()> {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")?)?;
    ensure_eq!(chart["version"], env!("CARGO_PKG_VERSION"), "the chart's version");
    ensure_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "the operator's version");
    Ok(())
}

#[test]
fn the_charts_copy_of_the_definition_is_the_generated_one() -> Result<()> {
    let generated = std::fs::read_to_string(workspace::root().join("crds/sumustacks.yaml"))?;
    ensure!(read("files/sumustacks.yaml")? == generated, "the chart's definition is not up to date: run `make crds`");
    Ok(())
}

#[test]
fn what_stands_above_a_key_is_its_comment_alone() {
    let found = comments(
        "# About the file.\n\n# One\n# and more.\none: 1\ntwo:\n  # Inner.\n  three: []\n  four: [a]\nfive:\n  - six: 6\n",
    );
    let expected = [("one", "One and more."), ("two", ""), ("two.three", "Inner."), ("two.four", ""), ("five", "")];
    assert_eq!(found.iter().map(|(path, comment)| (path.as_str(), comment.as_str())).collect::<Vec<_>>(), expected);
}
