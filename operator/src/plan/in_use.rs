//! What keeps a stack from being deleted whose object says that it waits while somebody uses it.
//!
//! Nothing at all is deleted while something blocks, so that whoever uses the stack can work off what is in it. Connections
//! count only while there is an API: without one nobody can be connected, whatever rows are left.

use super::{Part, Plan, Wait, WaitReason};
use crate::desired::Desired;
use crate::desired::end::End;
use crate::observed::{Observed, ResourceId};

/// Notes what blocks the deletion, if it has to wait for that, and says whether anything does.
pub(super) fn blocks(desired: &Desired, observed: &Observed, plan: &mut Plan) -> bool {
    if desired.end != End::DeletedOutOfUse {
        return false;
    }
    let live = observed.closely.connections;
    if !observed.apis.is_empty() && !live.is_none() {
        plan.waits.push(Wait {
            part: Part::Connections,
            reason: WaitReason::InUse { what: "connections".into(), holds: format!("{live} live") },
        });
    }
    for (id, queue) in &observed.queues {
        let count = queue.messages();
        if count > 0 {
            let reason = WaitReason::InUse { what: ResourceId::Queue(*id).to_string(), holds: counted(count) };
            plan.waits.push(Wait { part: super::step::part_of_queue(*id), reason });
        }
    }
    !plan.waits.is_empty()
}

pub(super) fn counted(messages: u64) -> String {
    if messages == 1 { "1 message".into() } else { format!("{messages} messages") }
}
