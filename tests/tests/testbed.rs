//! The testbed's own tests, as far as they need neither Kubernetes nor AWS.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sumu_tests::document::{blocks, is_like};
use sumu_tests::guard::Program;
use sumu_tests::issuer::{AUDIENCE, Issuer};
use sumu_tests::poll::free_ports;
use sumu_tests::{Context, Error, Result, ensure, ensure_eq, eventually};

const SOON: Duration = Duration::from_secs(30);

/// A program that would run for long.
fn lasting() -> Program {
    Program::new("lasting", "sleep").argument("600")
}

fn alive(pid: u32) -> bool {
    // A zombie has ended; only its parent has not heard yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

async fn gone(pid: u32) -> Result<()> {
    eventually(SOON, "the program to be gone", async || {
        ensure!(!alive(pid), "process {pid} is alive");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_program_ends_when_asked() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let mut program = lasting().start(logs.path())?;
    ensure!(alive(program.pid()), "it did not start");
    program.terminate()?;
    gone(program.pid()).await
}

#[tokio::test]
async fn a_program_ends_when_dropped() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let pid = lasting().start(logs.path())?.pid();
    gone(pid).await
}

#[tokio::test]
async fn a_program_that_refuses_to_end_is_killed_with_all_that_it_started() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let stubborn = "trap '' TERM; sleep 600 & echo $!; wait; wait";
    let mut program = Program::new("stubborn", "bash").arguments(["-c", stubborn]).start(logs.path())?;
    let started = eventually(SOON, "the program to say what it started", async || {
        Ok(std::fs::read_to_string(program.log())?.trim().parse::<u32>()?)
    })
    .await?;
    program.terminate()?;
    gone(program.pid()).await?;
    gone(started).await
}

#[tokio::test]
async fn a_killed_program_is_gone_at_once() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let mut program = lasting().start(logs.path())?;
    program.kill()?;
    ensure!(!alive(program.pid()), "it is alive");
    ensure!(program.ended()?.is_some(), "its end was not noticed");
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_program_is_told_with_its_code_and_its_last_words() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let mut program = Program::new("failing", "bash").arguments(["-c", "echo no more; exit 7"]).start(logs.path())?;
    let end = eventually(SOON, "the program to end", async || match program.ensure_running() {
        Ok(()) => Err(Error::new("it runs")),
        Err(end) => Ok(end.to_string()),
    })
    .await?;
    ensure!(end.contains("exit status: 7") && end.contains("no more"), "told: {end}");
    Ok(())
}

#[test]
fn a_program_that_is_not_there_is_told() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let mut program = Program::new("missing", "/nonexistent/program").start(logs.path())?;
    ensure_eq!(program.wait()?.code(), Some(127), "the shell's code for a missing program");
    Ok(())
}

/// The process that the next test kills. By itself it does nothing: its input is at its end then.
#[test]
#[ignore = "only a part of the next test"]
fn victim() -> Result<()> {
    let Some(logs) = std::env::var_os("SUMU_TEST_VICTIM") else { return Ok(()) };
    let program = lasting().start(Path::new(&logs))?;
    std::fs::write(Path::new(&logs).join("pid"), program.pid().to_string())?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

#[tokio::test]
async fn nothing_outlives_a_test_process_that_is_killed() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let mut process = Command::new(std::env::current_exe()?)
        .args(["--exact", "victim", "--ignored"])
        .env("SUMU_TEST_VICTIM", logs.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let child = eventually(SOON, "the victim to start its program", async || {
        Ok(std::fs::read_to_string(logs.path().join("pid"))?.parse::<u32>()?)
    })
    .await?;
    ensure!(alive(child), "the program did not start");
    process.kill()?;
    process.wait()?;
    gone(child).await
}

#[tokio::test]
async fn a_wait_that_ends_badly_says_what_for_and_what_it_saw() -> Result<()> {
    let waited = eventually(Duration::from_millis(300), "the moon", async || Err::<(), _>(Error::new("clouds"))).await;
    let error = waited.err().context("it came")?.to_string();
    ensure!(error.contains("the moon") && error.contains("clouds"), "said: {error}");
    Ok(())
}

#[test]
fn free_ports_differ() -> Result<()> {
    let ports: [u16; 8] = free_ports()?;
    ensure_eq!(ports.iter().collect::<std::collections::HashSet<_>>().len(), 8, "ports {ports:?}");
    Ok(())
}

/// Checks a token against the published keys, as an authorizer does.
async fn verify(issuer: &Issuer, token: &str) -> Result<Value> {
    let keys: JwkSet = serde_json::from_str(&reqwest::get(issuer.jwks_uri()).await?.error_for_status()?.text().await?)?;
    let header = decode_header(token)?;
    let key = keys.find(&header.kid.context("no key id")?).context("the key is not published")?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[issuer.url()]);
    validation.leeway = 0;
    validation.validate_nbf = true;
    Ok(decode::<Value>(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

#[tokio::test]
async fn tokens_of_both_algorithms_verify_with_the_published_keys() -> Result<()> {
    let issuer = Issuer::start().await?;
    for token in [issuer.token("alice").sign()?, issuer.token("alice").es256().sign()?] {
        ensure_eq!(verify(&issuer, &token).await?["sub"], Value::from("alice"), "the user");
    }
    ensure_eq!(issuer.fetches(), 2, "fetches are counted");
    Ok(())
}

#[tokio::test]
async fn bad_tokens_do_not_verify() -> Result<()> {
    let issuer = Issuer::start().await?;
    let good = issuer.token("alice");
    let bad = [
        good.clone().expires_in(-10),
        good.clone().without("exp"),
        good.clone().not_before_in(600),
        good.clone().audience("another"),
        good.clone().issuer("https://another.test"),
        good.clone().key_id(Some("es256-1")),
        good.key_id(None),
    ];
    for token in bad {
        let verified = verify(&issuer, &token.sign()?).await;
        ensure!(verified.is_err(), "{token:?} verified");
    }
    Ok(())
}

#[tokio::test]
async fn a_rotation_replaces_every_key() -> Result<()> {
    let issuer = Issuer::start().await?;
    let old = issuer.token("alice").sign()?;
    issuer.rotate()?;
    ensure!(verify(&issuer, &old).await.is_err(), "the old key is still published");
    verify(&issuer, &issuer.token("alice").sign()?).await.map(|_| ())
}

#[tokio::test]
async fn an_issuer_that_is_down_gives_no_keys() -> Result<()> {
    let issuer = Issuer::start().await?;
    issuer.set_down(true);
    ensure!(verify(&issuer, &issuer.token("alice").sign()?).await.is_err(), "it gave keys");
    issuer.set_down(false);
    verify(&issuer, &issuer.token("alice").sign()?).await.map(|_| ())
}

#[tokio::test]
async fn the_firebase_form_has_a_certificate_by_key_id() -> Result<()> {
    let issuer = Issuer::start().await?;
    let map: Value = serde_json::from_str(&reqwest::get(issuer.x509_uri()).await?.text().await?)?;
    let certificate = map["rs256-1"].as_str().context("no certificate")?;
    ensure!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "got {certificate}");
    Ok(())
}

#[test]
fn every_block_of_a_document_is_found_with_its_line() -> Result<()> {
    let found = blocks("words\n```js client\none\n\n    two\n```\n`code`\n```\n```\n")?;
    let found: Vec<_> = found.iter().map(|block| (block.info.as_str(), block.line, block.text.as_str())).collect();
    ensure_eq!(found, [("js client", 2, "one\n\n    two\n"), ("", 8, "")], "the blocks");
    Ok(())
}

#[test]
fn a_block_in_another_form_or_without_an_end_is_not_overlooked() -> Result<()> {
    for other in ["~~~\n~~~\n", "- list\n  ```\n", "````\n````\n", "\n    indented\n", "```js\nno end\n"] {
        ensure!(blocks(other).is_err(), "{other:?} was read");
    }
    Ok(())
}

#[test]
fn a_value_is_like_the_one_shown_only_where_the_document_leaves_it_open() -> Result<()> {
    let shown = json!({"id": "…", "at": 1_790_000_000_000_u64, "list": [1, "…"]});
    let like = json!({"id": "x", "at": 7, "list": [1, "y"]});
    ensure!(is_like(&like, &shown), "it is like it");
    for (member, value) in
        [("id", json!("")), ("id", json!(7)), ("at", json!("7")), ("list", json!([1])), ("more", json!(1))]
    {
        let mut unlike = like.clone();
        unlike[member] = value;
        ensure!(!is_like(&unlike, &shown), "{unlike} is not like it");
    }
    ensure!(!is_like(&json!({"id": "x", "at": 7}), &shown), "a member is missing");
    Ok(())
}
