//! The conditions of a stack, told as they turn.

use std::collections::BTreeMap;

use serde_json::Value;
use sumu_tests::operator::Operator;
use sumu_tests::stack::{SETTLED_WITHIN, Stack, condition};
use sumu_tests::{Context, Error, Result, ensure, eventually};

/// Prints each change of a condition until the stack is Ready; returns the status.
pub async fn follow(stack: &Stack, operator: &mut Operator) -> Result<Value> {
    let mut told = BTreeMap::new();
    eventually(SETTLED_WITHIN, "the stack to be Ready", async || {
        // No patience for an operator that is gone.
        if let Err(ended) = operator.ensure_running() {
            return Ok(Err(ended));
        }
        let object = stack.object().await?;
        tell(&object, &mut told);
        let ready = condition(&object, "Ready").context("no conditions yet")?;
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        ensure!(current && ready["status"] == "True", "conditions {}", object["status"]["conditions"]);
        Ok(Ok::<_, Error>(object["status"].clone()))
    })
    .await?
}

fn tell(object: &Value, told: &mut BTreeMap<String, String>) {
    for condition in object["status"]["conditions"].as_array().into_iter().flatten() {
        let word = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
        let now = format!("{:<8} {:<16} {}", word("status"), word("reason"), word("message"));
        if told.get(&word("type")) != Some(&now) {
            println!("  {:<14} {now}", word("type"));
            told.insert(word("type"), now);
        }
    }
}
