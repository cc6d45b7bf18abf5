//! `make demo`: a live stack on this machine, two WebSocket clients and a backend that talk through it.
//!
//! With `--once` it cleans up by itself and exits with 0 only if every message arrived.

mod progress;
mod talk;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sumu_tests::operator::{Operator, Settings};
use sumu_tests::poll::within;
use sumu_tests::stack::Stack;
use sumu_tests::{Context, Result, Testbed, ensure, eventually, workspace};

const NAMESPACE: &str = "apps";
const NAME: &str = "live";
const TALK_WITHIN: Duration = Duration::from_mins(5);

fn main() -> ExitCode {
    let once = std::env::args().any(|argument| argument == "--once") || std::env::var_os("ONCE").is_some();
    match run(once) {
        Ok(missing) if missing.is_empty() => ExitCode::SUCCESS,
        Ok(missing) => {
            eprintln!("\nmissing:\n  {}", missing.join("\n  "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo and returns what did not arrive.
fn run(once: bool) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = demo(once) => done,
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                println!("\nStopping.");
                Ok(Vec::new())
            }
        }
    })
}

async fn demo(once: bool) -> Result<Vec<String>> {
    println!("Starting a Kubernetes API server and an AWS emulator on this machine.");
    let testbed = Testbed::start().await?;
    let told = Box::pin(tell(&testbed, once)).await;
    if told.as_ref().map_or(true, |missing| !missing.is_empty()) {
        testbed.keep_logs().await;
    }
    told
}

async fn tell(testbed: &Testbed, once: bool) -> Result<Vec<String>> {
    testbed.kubernetes().install_crd().await?;
    println!("Packing the functions when they have changed, and starting the operator.");
    let mut operator = Operator::start(testbed, &Settings::default())?;

    println!("\n$ kubectl apply -f examples/live.yaml    (with this demo's issuer in place of issuer.example)");
    let begun = Instant::now();
    print!("{}", testbed.kubernetes().kubectl_ok(&["apply", "--filename=-"], &example(testbed)?).await?);
    let stack = Stack::existing(testbed, NAMESPACE, NAME).await?;
    let status = progress::follow(&stack, &mut operator).await?;
    println!("Ready after {:.1} s.\n\n$ kubectl get sumu -n {NAMESPACE}", begun.elapsed().as_secs_f32());
    print!("{}", testbed.kubernetes().kubectl_ok(&["get", "sumu", "-n", NAMESPACE], "").await?);

    println!();
    let missing = within(TALK_WITHIN, "the conversation", Box::pin(talk::talk(testbed, &status))).await?;
    if once {
        clean_up(testbed, &stack, operator).await?;
    } else {
        by_hand(testbed, &status)?;
        std::future::pending::<()>().await;
    }
    Ok(missing)
}

/// The example with the issuer that is there instead of the one that is not.
fn example(testbed: &Testbed) -> Result<String> {
    let path = workspace::root().join("examples/live.yaml");
    let example = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let issuer = testbed.issuer();
    Ok(example
        .replace("https://issuer.example/.well-known/jwks.json", &issuer.jwks_uri())
        .replace("https://issuer.example/", issuer.url()))
}

fn by_hand(testbed: &Testbed, status: &serde_json::Value) -> Result<()> {
    let endpoint = status["endpoint"].as_str().context("no endpoint in the status")?;
    let token = testbed.issuer().token("you").expires_in(24 * 60 * 60).sign()?;
    println!("\nIt is up until Ctrl-C. Try it by hand, with any WebSocket client, for example:\n");
    println!("  websocat '{endpoint}?authorization={token}'\n");
    println!(r#"  {{"action":"ping"}}"#);
    println!(r#"  {{"action":"send","message":{{"text":"hello"}},"id":1}}"#);
    println!("\nand look around:\n");
    println!("  export KUBECONFIG={}", testbed.kubernetes().kubeconfig().display());
    println!("  {} get sumu -A", testbed.kubernetes().kubectl_path().display());
    let keys = "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1";
    println!("  export {keys} AWS_ENDPOINT_URL={}", testbed.aws().endpoint());
    println!("  logs: {}", testbed.folder().logs().display());
    Ok(())
}

async fn clean_up(testbed: &Testbed, stack: &Stack, mut operator: Operator) -> Result<()> {
    println!("\n$ kubectl delete sumu {NAME} -n {NAMESPACE}");
    stack.delete().await?;
    stack.gone().await?;
    eventually(Duration::from_secs(10), "AWS to be empty", async || {
        let left = testbed.aws().inventory("").await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
    .await?;
    println!("Deleted; nothing is left in AWS.");
    let status = operator.terminate()?;
    ensure!(status.success(), "the operator ended with {status}");
    Ok(())
}
