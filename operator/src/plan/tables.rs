//! Tables: DynamoDB takes one change at a time, and only while a table is active.

use super::step::TableStep;
use super::tagged::Tagged;
use super::{Part, Plan, Step, WaitReason};
use crate::desired::Desired;
use crate::desired::tables::Table;
use crate::observed::{Observed, ResourceId, TableState};
use crate::stack::name::TableId;

const PART: Part = Part::Connections;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    for (id, table) in &desired.tables {
        let name = desired.names.table(*id);
        if plan.is_foreign(PART, ResourceId::Table(*id), &name, observed) {
            continue;
        }
        match observed.tables.get(id) {
            None => plan
                .step(Step::Table(*id, TableStep::Create { name, table: table.clone(), tags: desired.tags.clone() })),
            Some(found) if !found.is_active() => plan.wait_ready(PART, ResourceId::Table(*id), &found.status),
            Some(found) => {
                plan.steps.extend(next_change(desired, *id, table, found));
                if table.has_recovery == Some(true) && found.has_recovery.is_none() {
                    plan.wait_ready(
                        PART,
                        format!("point-in-time recovery of {}", ResourceId::Table(*id)),
                        "not known yet",
                    );
                }
            }
        }
    }
    for (id, found) in &observed.tables {
        if !desired.tables.contains_key(id) {
            delete(desired, *id, found, observed, plan);
        }
    }
}

/// The first difference; the next one follows when the table is active again.
fn next_change(desired: &Desired, id: TableId, table: &Table, found: &TableState) -> Option<Step> {
    let name = desired.names.table(id);
    let change = |step| Some(Step::Table(id, step));
    if found.has_other_stream {
        // The view type cannot change in place: off first, then on with the right one.
        return change(TableStep::SetStream { name, on: false });
    }
    if table.has_stream != found.stream_arn.is_some() {
        return change(TableStep::SetStream { name, on: table.has_stream });
    }
    if let Some(on) = table.is_protected.filter(|on| *on != found.is_protected) {
        return change(TableStep::SetProtection { name, on });
    }
    // Both before time to live, which DynamoDB may refuse to change for an hour.
    let mut tags = Plan::default();
    tags.keep_tags(Tagged::Table { id, arn: found.arn.clone() }, &desired.tags, &found.tags);
    if let Some(step) = tags.steps.into_iter().next() {
        return Some(step);
    }
    if let Some(on) = table.has_recovery.filter(|on| found.has_recovery == Some(!on)) {
        return change(TableStep::SetRecovery { name, on });
    }
    match (table.ttl_attribute, &found.ttl_attribute) {
        (Some(want), Some(have)) if want == have => None,
        (_, Some(have)) => change(TableStep::SetTtl { name, attribute: have.clone(), on: false }),
        (Some(want), None) => change(TableStep::SetTtl { name, attribute: want.into(), on: true }),
        (None, None) => None,
    }
}

fn delete(desired: &Desired, id: TableId, found: &TableState, observed: &Observed, plan: &mut Plan) {
    let what = ResourceId::Table(id);
    if let Some(function) = observed.functions.keys().find(|function| !desired.functions.contains_key(function)) {
        plan.wait_gone(PART, what, ResourceId::Function(*function));
    } else if !found.is_active() {
        plan.wait_ready(PART, what, &found.status);
    } else if !found.is_protected {
        plan.step(Step::Table(id, TableStep::Delete { name: desired.names.table(id) }));
    } else if desired.may_unprotect_tables {
        plan.step(Step::Table(id, TableStep::SetProtection { name: desired.names.table(id), on: false }));
    } else {
        plan.wait(PART, WaitReason::Protected(format!("{what} ({})", desired.names.table(id))));
    }
}
