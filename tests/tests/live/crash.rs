//! The operator dies at any moment, and the next one ends what it began.

use serde_json::json;
use sumu_tests::operator::{Operator, Settings};
use sumu_tests::poll::{PATIENCE, eagerly};
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Result, ensure, poll, story};

use crate::scene::{Scene, complete_total, ensure_complete, scene, total};

/// Deleting takes fewer passes than this.
const DELETIONS_MAX: usize = 15;

#[test]
fn an_operator_killed_again_and_again_while_it_creates_ends_with_one_of_everything() -> Result<()> {
    scene("create").play_from_the_start(async |scene| {
        scene.apply().await?;
        let mut moments = Vec::new();
        for moment in [1, 8, 16, 24, 32, 38] {
            moments.push(kill_at(scene, moment).await?);
        }
        println!("killed when there were so many things: {moments:?}");
        ensure!(moments[0] < complete_total(), "it was too fast to be killed: {moments:?}");
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)?;
        scene.connect("alice").await?.ensure_silent().await
    })
}

#[test]
fn an_operator_killed_again_and_again_while_it_deletes_leaves_nothing() -> Result<()> {
    scene("undo").play(async |scene| {
        let _connected = scene.connect("alice").await?;
        scene.kill_operator()?;
        scene.stack.delete().await?;
        let mut moments = vec![complete_total()];
        // Deleting takes less time than counting, so each operator is killed right after its first pass.
        while moments.last() != Some(&0) {
            ensure!(moments.len() < DELETIONS_MAX, "it does not get on: {moments:?}");
            kill_after_a_pass(scene).await?;
            moments.push(total(&scene.inventory().await?));
        }
        println!("killed when so many things were left: {moments:?}");
        ensure!(moments.is_sorted_by(|one, next| one >= next), "something was made anew: {moments:?}");
        ensure!(moments.len() > 2, "it was too fast to be killed: {moments:?}");
        scene.start_operator()?;
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

#[test]
fn what_is_asked_for_while_no_operator_runs_is_done_by_the_next() -> Result<()> {
    scene("absent").play(async |scene| {
        scene.stop_operator()?;
        scene.stack.patch(&json!({"spec": {"functions": {"memoryMiB": 384}}})).await?;
        scene.start_operator()?;
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)?;

        scene.kill_operator()?;
        scene.stack.delete().await?;
        scene.start_operator()?;
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

/// How often an operator is stopped while it starts.
const STARTS: u32 = 8;

#[test]
fn an_operator_that_is_stopped_while_it_starts_ends_at_once() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("start").await?;
        let mut lines = 0;
        for start in 0..STARTS {
            let mut operator = Operator::start(testbed, &Settings::namespace(&namespace))?;
            // Every other one may say first that it has started; then it lists what there is.
            if start % 2 == 1 {
                eagerly(PATIENCE, "the operator to start", async || {
                    operator.ensure_running()?;
                    ensure!(operator.log()?.len() > lines, "it has said nothing");
                    Ok(())
                })
                .await?;
            }
            let ended = operator.terminate()?;
            // 143: it was too young to have heard of signals.
            ensure!(matches!(ended.code(), Some(0 | 143)), "start {start} ended with {ended}");
            lines = operator.log()?.len();
        }
        Ok(())
    })
}

/// Kills the operator as soon as there are so many things, starts the next one, and says how many there were.
async fn kill_at(scene: &mut Scene, moment: usize) -> Result<usize> {
    let there = poll::eventually(SETTLED_WITHIN, &format!("{moment} things to exist"), async || {
        let there = total(&scene.inventory().await?);
        ensure!(there >= moment, "there are {there}");
        Ok(there)
    })
    .await?;
    scene.kill_operator()?;
    scene.start_operator()?;
    Ok(there)
}

/// Starts an operator and kills it as soon as it has finished a pass.
async fn kill_after_a_pass(scene: &mut Scene) -> Result<()> {
    let passes = scene.passes("live")?.len();
    scene.start_operator()?;
    poll::eagerly(SETTLED_WITHIN, "one more pass", async || {
        let made = scene.passes("live")?.len();
        ensure!(made > passes, "there were {made} passes");
        Ok(())
    })
    .await?;
    scene.kill_operator()
}
