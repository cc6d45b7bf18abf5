//! What no compiler and no lint checks: the shape of files, and who may know whom.

#[path = "tidy/kubernetes.rs"]
mod kubernetes;
#[path = "tidy/operator.rs"]
mod operator;
#[path = "tidy/release.rs"]
mod release;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sumu_contract::message::ROUTE_KEYS;
use sumu_lambdas::telemetry::metric::{self, ALL, Metric};
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// The operator's pure modules: what they decide must follow from what they are given.
const PURE: [&str; 5] = ["stack", "desired", "observed", "plan", "status"];
const IMPURE: [&str; 5] = ["kube::Client", "aws_sdk_", "SystemTime::now", "Instant::now", "Timestamp::now"];

/// The one place in the tests that lets time pass.
const POLL: &str = "tests/src/poll.rs";

struct File {
    path: String,
    text: String,
}

/// Every text file of the checkout, whether git knows it already or not.
fn files() -> Result<Vec<File>> {
    fn walk(folder: &Path, top: &Path, found: &mut Vec<File>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path: PathBuf = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                let ours = [".ci", ".github"].contains(&name.as_str())
                    || !(name.starts_with('.') || name == "target" || name == "dist");
                if ours && !path.is_symlink() {
                    walk(&path, top, found)?;
                }
            } else if name != ".git"
                // A worktree has a file of that name, which says where it is on the machine.
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.push(File { path: path.strip_prefix(top)?.to_string_lossy().into_owned(), text });
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(&workspace::root(), &workspace::root(), &mut found)?;
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn sources() -> Result<Vec<File>> {
    Ok(files()?.into_iter().filter(is_rust).collect())
}

fn is_rust(file: &File) -> bool {
    Path::new(&file.path).extension().is_some_and(|extension| extension == "rs")
}

fn none(found: &[String], rule: &str) -> Result<()> {
    ensure!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
    Ok(())
}

#[test]
fn the_checkout_is_found() -> Result<()> {
    let sources = sources()?;
    for known in [POLL, "tests/tests/tidy.rs", "operator/src/lib.rs"] {
        ensure!(
            sources.iter().any(|file| file.path == known),
            "{known} was not found, so the other tests prove nothing"
        );
    }
    Ok(())
}

#[test]
fn every_module_opens_with_what_it_is_for() -> Result<()> {
    let silent = sources()?.into_iter().filter(|file| !file.text.starts_with("//!")).map(|file| file.path);
    none(&silent.collect::<Vec<_>>(), "a module opens with a `//!` comment")
}

#[test]
fn no_file_is_too_long_to_read() -> Result<()> {
    let long = sources()?.into_iter().filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}: {lines}", file.path))
    });
    none(&long.collect::<Vec<_>>(), "a file has at most 500 lines")
}

/// The functions of a formatted file with their names and numbers of lines, blank lines and comments left out.
///
/// A function ends where its closing brace stands below its first word.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some(name) = function_name(code) else { continue };
        let end = lines[start..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
        // A declaration has no body, and a body on one line has no brace of its own.
        let signature = lines[start..].iter().position(|line| line.ends_with(['{', ';', '}']));
        if let (Some(end), Some(opens)) = (end, signature)
            && lines[start + opens].ends_with('{')
        {
            let counted = lines[start..=start + end].iter().map(|line| line.trim());
            found.push((name.to_owned(), counted.filter(|line| !line.is_empty() && !line.starts_with("//")).count()));
        }
    }
    found
}

fn function_name(code: &str) -> Option<&str> {
    let (before, after) = code.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async"];
    before.split_whitespace().all(|word| words.contains(&word)).then(|| after.split(['(', '<']).next())?
}

#[test]
fn no_function_is_too_long_to_read() -> Result<()> {
    let mut long = Vec::new();
    let mut seen = 0;
    for file in sources()? {
        for (name, lines) in functions(&file.text) {
            seen += 1;
            if lines > FUNCTION_LINES_MAX {
                long.push(format!("{}: {name} has {lines}", file.path));
            }
        }
    }
    ensure!(seen > 100, "only {seen} functions were found");
    none(&long, "a function has at most 70 lines")
}

#[test]
fn what_decides_knows_neither_a_client_nor_a_clock() -> Result<()> {
    let mut found = Vec::new();
    for file in sources()? {
        let pure = PURE.iter().any(|module| {
            file.path == format!("operator/src/{module}.rs")
                || file.path.starts_with(&format!("operator/src/{module}/"))
        });
        for word in IMPURE.iter().filter(|word| pure && file.text.contains(**word)) {
            found.push(format!("{}: {word}", file.path));
        }
    }
    none(&found, "stack, desired, observed, plan and status are pure")
}

/// A client that is made anew for each event costs a handshake each time.
#[test]
fn the_functions_make_their_clients_once_a_process_before_the_first_event() -> Result<()> {
    let mut found = Vec::new();
    let mut programs = 0;
    for file in sources()?.iter().filter(|file| file.path.starts_with("lambdas/src/")) {
        let is_adapter = file.path.starts_with("lambdas/src/adapters");
        let (setup, per_event) = match file.text.split_once("lambda_runtime::run(") {
            Some((setup, per_event)) => (setup, per_event),
            None => ("", file.text.as_str()),
        };
        programs += usize::from(setup.contains("adapters::aws()"));
        for word in ["SdkConfig", "adapters::aws()", "::new(&aws", "Client::"] {
            if !is_adapter && per_event.contains(word) {
                found.push(format!("{}: {word}", file.path));
            }
        }
    }
    ensure!(programs >= 3, "only {programs} programs were found");
    none(&found, "AWS's clients are made by `main` before it takes events")
}

#[test]
fn no_test_sleeps() -> Result<()> {
    // In two parts, or this file would be found.
    let sleep = concat!("sleep", "(");
    let tests = |path: &str| path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
    let sleepy = sources()?.into_iter().filter(|file| tests(&file.path) && file.path != POLL);
    let sleepy = sleepy.filter(|file| file.text.contains(sleep)).map(|file| file.path);
    none(&sleepy.collect::<Vec<_>>(), "a test waits for something with `eventually`, it never sleeps")
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() -> Result<()> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut found = Vec::new();
    for file in files()? {
        for (number, line) in file.text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                found.push(format!("{}:{}: {line}", file.path, number + 1));
            }
        }
    }
    none(&found, "no file names a path of a developer's machine")
}

#[test]
fn the_committed_crd_is_what_the_types_say() -> Result<()> {
    let generated = Command::new(workspace::program("sumu-operator")?).arg("crd").output()?;
    ensure!(generated.status.success(), "{}", String::from_utf8_lossy(&generated.stderr));
    let committed = std::fs::read_to_string(workspace::root().join("crds/sumustacks.yaml"))?;
    ensure!(committed.as_bytes() == generated.stdout, "crds/sumustacks.yaml is not up to date: run `make crds`");
    Ok(())
}

#[test]
fn what_is_built_is_what_the_lock_file_pins() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(workspace::root().join(path));
    let packages = read("Cargo.lock")?;
    let mut pinned = 0;
    for package in packages.split("[[package]]").filter(|package| package.contains("source = ")) {
        ensure!(package.contains("checksum = "), "a package has no checksum: {package}");
        pinned += 1;
    }
    ensure!(pinned > 100, "only {pinned} packages were found");
    let makefile = read("Makefile")?;
    let builds: Vec<&str> =
        makefile.lines().filter(|line| line.contains("cargo ") && line.contains("--workspace")).collect();
    ensure!(builds.len() >= 4, "only {builds:?} were found");
    none(
        &builds.into_iter().filter(|line| !line.contains("--locked")).map(str::to_owned).collect::<Vec<_>>(),
        "a build takes the versions of the lock file and no newer ones",
    )
}

/// The texts of a source file that stand between `before` and `after` in one line.
fn words<'a>(source: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let word = |line: &'a str| line.trim().split_once(before)?.1.split_once(after).map(|(word, _)| word);
    source.lines().filter_map(word).collect()
}

#[test]
fn the_protocol_document_names_every_reason_and_code_that_there_is() -> Result<()> {
    let root = workspace::root();
    let document = std::fs::read_to_string(root.join("docs/protocol.md"))?;
    let sources = [
        ("pusher/request.rs", " => \"", "\",", 15),
        ("pusher/delivery.rs", "const EXHAUSTED: &str = \"", "\";", 1),
        ("routes/reply.rs", "(400, \"", "\"", 8),
        ("routes/reply.rs", "(413, \"", "\"", 1),
        ("routes/reply.rs", "(503, \"", "\"", 1),
        ("routes/reply.rs", "(500, \"", "\"", 1),
        ("authorizer/verdict.rs", " => \"", "\",", 15),
    ];
    let mut missing = Vec::new();
    for (file, before, after, count) in sources {
        let source = std::fs::read_to_string(root.join("lambdas/src").join(file))?;
        let words = words(&source, before, after);
        ensure!(words.len() >= count, "only {words:?} were found in {file}");
        missing.extend(
            words.iter().filter(|word| !document.contains(&format!("`{word}`"))).map(|word| format!("{file}: {word}")),
        );
    }
    none(&missing, "docs/protocol.md names every reason, code and refusal")
}

/// The names of all tests of a source file.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    // `#[test]` and `#[tokio::test]`.
    let after_attribute = source.split("test]\n").skip(1);
    after_attribute.filter_map(|rest| rest.lines().find_map(|line| function_name(line.trim_start())))
}

#[test]
fn every_example_is_named_where_people_read() -> Result<()> {
    let all = files()?;
    let documents: Vec<&File> =
        all.iter().filter(|file| file.path == "README.md" || file.path.starts_with("docs/")).collect();
    let examples: Vec<&File> = all.iter().filter(|file| file.path.starts_with("examples/")).collect();
    ensure!(examples.len() >= 7, "only {} examples were found", examples.len());
    let unnamed = examples.iter().filter(|example| !documents.iter().any(|file| file.text.contains(&example.path)));
    none(&unnamed.map(|example| example.path.clone()).collect::<Vec<_>>(), "README.md or docs/ names each example")
}

#[test]
fn every_guarantee_is_proven_by_tests_that_exist() -> Result<()> {
    let document = std::fs::read_to_string(workspace::root().join("docs/guarantees.md"))?;
    let (promised, _) = document.split_once("## What is not promised").context("the document has no end")?;
    let sources = sources()?;
    let existing: BTreeSet<&str> = sources.iter().flat_map(|file| tests(&file.text)).collect();
    ensure!(existing.len() > 200, "only {} tests were found", existing.len());
    let rows = promised.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what holds"));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in rows {
        let proven = row.trim_end_matches(" |").rsplit_once(" | ").map(|(_, proven)| proven).unwrap_or_default();
        let mut names = proven.split(", ").map(|name| name.trim_matches('`')).peekable();
        ensure!(names.peek().is_some(), "a row without a test: {row}");
        wrong.extend(names.filter(|name| !existing.contains(name)).map(|name| format!("{name:?} in: {row}")));
        seen += 1;
    }
    ensure!(seen > 50, "only {seen} rows were found");
    none(&wrong, "docs/guarantees.md names a test that exists in each row, and no other")
}

#[test]
fn no_table_of_a_document_is_cut() -> Result<()> {
    let mut cut = Vec::new();
    let mut tables = 0;
    for file in files()?.iter().filter(|file| Path::new(&file.path).extension().is_some_and(|is| is == "md")) {
        let (mut is_code, mut before) = (false, "");
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().copied().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            let begins = !is_code && line.starts_with('|') && !before.starts_with('|');
            tables += usize::from(begins);
            if begins && !lines.get(number + 1).is_some_and(|next| next.starts_with("|--")) {
                cut.push(format!("{}:{}", file.path, number + 1));
            }
            before = line;
        }
    }
    ensure!(tables > 30, "only {tables} tables were found");
    none(&cut, "a table begins with a head and a line below it, and has no empty line")
}

/// A metric as its row in the document begins.
fn row(metric: &Metric) -> String {
    let functions: Vec<&str> = metric.functions.iter().map(|function| function.as_str()).collect();
    let by = metric.by.map_or(String::new(), |dimension| format!(" `{}`", dimension.name));
    let always = if metric.is_always_there { " yes" } else { "" };
    format!("| `{}` | {} | {} |{by} |{always} | ", metric.name, functions.join(", "), metric.unit)
}

/// The slow tests of a source file, which `make test` leaves out, and the others.
fn slow_and_fast(source: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let after_attribute = source.split("#[test]\n").skip(1);
    let named = after_attribute.filter_map(|rest| {
        let name = rest.lines().find_map(|line| function_name(line.trim_start()))?;
        Some((name, rest.trim_start().starts_with("#[ignore")))
    });
    let (slow, fast): (Vec<_>, Vec<_>) = named.partition(|(_, is_slow)| *is_slow);
    (slow.into_iter().map(|(name, _)| name).collect(), fast.into_iter().map(|(name, _)| name).collect())
}

#[test]
fn the_document_of_scenarios_has_each_and_says_which_are_slow() -> Result<()> {
    let document = std::fs::read_to_string(workspace::root().join("docs/reliability.md"))?;
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources()?.iter().filter(|file| is_scenario(&file.path)) {
        let module = file.path.trim_start_matches("tests/tests/live/").trim_end_matches(".rs").replace('/', "::");
        let (slow, fast) = slow_and_fast(&file.text);
        for (names, mark) in [(slow, "` *"), (fast, "`")] {
            for name in names {
                let row = format!("`{module}::{name}{mark} |");
                seen += 1;
                if !document.contains(&row) {
                    wrong.push(row);
                }
            }
        }
    }
    ensure!(seen > 20, "only {seen} scenarios were found");
    none(&wrong, "docs/reliability.md has a row for each scenario, with a star when make test leaves it out")
}

fn is_scenario(path: &str) -> bool {
    path.strip_prefix("tests/tests/live/")
        .is_some_and(|rest| ["faults", "kill", "noise", "delivery"].iter().any(|begin| rest.starts_with(begin)))
}

#[test]
fn the_stories_for_a_real_account_exist() -> Result<()> {
    let makefile = std::fs::read_to_string(workspace::root().join("Makefile"))?.replace("\\\n", " ");
    let list = makefile.lines().find_map(|line| line.strip_prefix("STORIES_IN_AWS :=")).context("no list")?;
    let mut unknown = Vec::new();
    for story in list.split_whitespace() {
        let (module, begin) = story.split_once("::").context("a story is <module>::<beginning of its name>")?;
        let text = std::fs::read_to_string(workspace::root().join(format!("tests/tests/live/{module}.rs")))?;
        if !text.contains(&format!("#[test]\nfn {begin}")) {
            unknown.push(story.to_owned());
        }
    }
    none(&unknown, "no story begins so")
}

#[test]
fn the_document_of_metrics_has_each_metric_that_there_is_and_no_other() -> Result<()> {
    let document = std::fs::read_to_string(workspace::root().join("docs/metrics.md"))?;
    let (_, table) = document.split_once("| metric | ").context("no table of metrics")?;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let mut rows_left = rows.clone();
    let mut missing = Vec::new();
    for metric in ALL {
        let row = row(metric);
        let place =
            rows_left.iter().position(|line| line.strip_prefix(row.as_str()).is_some_and(|tells| tells.len() > 9));
        match place {
            Some(place) => drop(rows_left.remove(place)),
            None => missing.push(row),
        }
    }
    none(&missing, "docs/metrics.md has a row for each metric, which begins so")?;
    none(&rows_left.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>(), "docs/metrics.md has rows of no metric")?;
    let billed: usize = ALL.iter().map(Metric::billed).sum();
    ensure!(document.contains(&format!("it would be {billed} metrics")), "docs/metrics.md names the number {billed}");
    Ok(())
}

#[test]
fn the_document_of_the_operators_metrics_has_each_that_there_is_and_no_other() -> Result<()> {
    let document = std::fs::read_to_string(workspace::root().join("docs/operator-metrics.md"))?;
    let (_, table) = document.split_once("| metric | ").context("no table of metrics")?;
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let expected = sumu_operator::metrics::ALL.map(|(name, kind, labels)| {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {kind} | {} | ", labels.join(", "))
    });
    ensure_eq!(rows.len(), expected.len(), "the number of rows");
    let missing = expected.into_iter().filter(|row| !rows.iter().any(|line| line.starts_with(row.as_str())));
    none(&missing.collect::<Vec<_>>(), "docs/operator-metrics.md has a row for each metric, which begins so")
}

#[test]
fn what_metrics_are_divided_by_is_every_word_that_the_functions_know() -> Result<()> {
    let source = |file: &str| std::fs::read_to_string(workspace::root().join("lambdas/src").join(file));
    let same = |dimension: &metric::Dimension, mut known: Vec<&str>| {
        let mut values = dimension.values.to_vec();
        known.sort_unstable();
        known.dedup();
        values.sort_unstable();
        ensure_eq!(values, known, "the values of {}", dimension.name);
        Ok(())
    };
    let verdict = source("authorizer/verdict.rs")?;
    let refusals = words(&verdict, " => \"", "\",");
    same(&metric::REASON, [&["NoToken"], refusals.as_slice()].concat())?;

    let reply = source("routes/reply.rs")?;
    let codes = ["400", "413", "500", "503"].map(|status| words(&reply, &format!("({status}, \""), "\""));
    same(&metric::CODE, codes.concat())?;

    let frames = ROUTE_KEYS.into_iter().filter(|route| !["$connect", "$disconnect"].contains(route));
    same(&metric::ROUTE, frames.collect())
}

#[test]
fn functions_are_measured() {
    let text = "fn short() {\n    // why\n\n    one();\n}\nfn declared();\nfn line() -> u8 { 1 }\n    pub async fn two(\n        a: u8,\n    ) {\n        if a {\n        }\n    }\n";
    assert_eq!(functions(text), [("short".to_owned(), 3), ("two".to_owned(), 6)]);
}
