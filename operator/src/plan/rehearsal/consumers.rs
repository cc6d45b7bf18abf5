//! What calls about the users' own functions lead to.

use super::{NEW, Supposed};
use crate::desired::consumers::Consumer;
use crate::observed::ConsumerState;
use crate::plan::step::ConsumerStep;
use crate::stack::consumers::name;

impl Supposed {
    pub(super) fn consumer(&mut self, step: &ConsumerStep) {
        let found = &mut self.world.consumers;
        match step {
            ConsumerStep::Create { function_arn, consumer, tags, queue_arn: _ } => {
                let mut state = ConsumerState {
                    uuid: format!("{NEW}-{}", name(function_arn)),
                    tags: tags.clone(),
                    is_ours: true,
                    function_arn: function_arn.clone(),
                    state: "Enabled".into(),
                    ..ConsumerState::default()
                };
                set(&mut state, consumer);
                found.push(state);
            }
            ConsumerStep::Update { uuid, consumer, .. } => {
                for state in found.iter_mut().filter(|state| state.uuid == *uuid) {
                    state.state = "Enabled".into();
                    set(state, consumer);
                }
            }
            ConsumerStep::Delete { uuid, .. } => found.retain(|state| state.uuid != *uuid),
        }
    }
}

/// Ours may always name the messages that failed.
fn set(state: &mut ConsumerState, consumer: &Consumer) {
    let Consumer { batch_size, window_seconds, concurrency_max } = consumer;
    state.batch_size = *batch_size;
    state.window_seconds = *window_seconds;
    state.concurrency_max = *concurrency_max;
    state.reports_item_failures = true;
}
