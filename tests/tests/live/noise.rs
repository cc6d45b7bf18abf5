//! Noise: two of a hundred calls fail at random, in every way of AWS's, while stacks are made, changed and deleted.

#[path = "noise/faults.rs"]
mod faults;

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::json;
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Context, Result, ensure, eventually};

use crate::lifecycle::conditions_are_true;
use crate::scene::{Scene, change_of_every_part, ensure_complete_but, names_begin, scene};
use crate::seed::seed;
use faults::Noise;

/// What [`change`] adds.
const CHANGED: [(&str, usize); 3] = [("event source", 4), ("log group", 5), ("queue", 8)];

/// Without noise it takes some 55 calls to make a stack, 37 to change it and 35 to delete it.
const WRITES_MAX: u64 = 150;

/// How long all stacks may take to become what they should be, beside each other on a machine that does other things.
const SETTLED_WITHIN: Duration = Duration::from_mins(4);

#[test]
fn noise_leaves_no_trace_in_a_few_stacks() -> Result<()> {
    among(3)
}

#[test]
#[ignore = "slow: make test-faults"]
fn noise_leaves_no_trace_in_twenty_stacks() -> Result<()> {
    among(20)
}

/// Makes, changes and deletes stacks in one namespace, with one operator, amid noise.
fn among(count: usize) -> Result<()> {
    let seed = seed();
    scene("noise").resync_seconds(30).play_from_the_start(async |scene| {
        let noise = Noise::begin(scene, seed);
        // No name begins like another.
        let names: Vec<String> = (0..count).map(|number| format!("s{number:02}")).collect();
        let stacks = try_join_all(names.iter().map(|name| made_and_changed(scene, name))).await?;
        let while_made = noise.end();
        ensure!(while_made > 0, "nothing was hit");
        try_join_all(stacks.iter().map(|stack| is_right(scene, stack))).await?;

        let noise = Noise::begin(scene, seed.wrapping_add(1));
        try_join_all(stacks.iter().map(deleted)).await?;
        println!("{while_made} calls were hit while {count} stacks were made and changed, then {}", noise.end());
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        ensure_few_writes(scene, &names)?;
        ensure!(!scene.operator_log()?.contains("panicked"), "the operator has panicked");
        Ok(())
    })
}

async fn made_and_changed(scene: &Scene, name: &str) -> Result<Stack> {
    let stack = Stack::apply(scene.testbed, &stack::manifest(scene.testbed, &scene.namespace, name)).await?;
    settled(&stack).await?;
    stack.patch(&json!({ "spec": change_of_every_part() })).await?;
    settled(&stack).await?;
    Ok(stack)
}

async fn settled(stack: &Stack) -> Result<()> {
    stack.ready_within(SETTLED_WITHIN).await.map(drop)
}

/// Waits until the stack tells nothing of the noise any more, and looks that there is one of everything.
async fn is_right(scene: &Scene, stack: &Stack) -> Result<()> {
    let object = eventually(SETTLED_WITHIN, "all conditions to be as they were", async || {
        let object = stack.object().await?;
        conditions_are_true(&object, &["AccessLogs"])?;
        Ok(object)
    })
    .await?;
    let needle = names_begin(&object["status"])?;
    let inventory = scene.testbed.aws().inventory(needle).await?;
    ensure_complete_but(&inventory, &CHANGED).with_context(|| needle.to_owned())
}

async fn deleted(stack: &Stack) -> Result<()> {
    stack.delete().await?;
    stack.gone_within(SETTLED_WITHIN).await
}

/// Fails when a stack took much more calls than it takes without noise.
fn ensure_few_writes(scene: &Scene, names: &[String]) -> Result<()> {
    let mut all = Vec::new();
    for name in names {
        let writes: u64 = scene.passes(name)?.iter().map(|pass| pass.aws_writes).sum();
        ensure!(writes > 0, "no pass over {name} is known");
        all.push(writes);
    }
    println!("calls that changed something, by stack: {all:?}");
    ensure!(all.iter().all(|writes| *writes <= WRITES_MAX), "too many calls that change something: {all:?}");
    Ok(())
}
