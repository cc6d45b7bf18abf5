//! DynamoDB: one change of a table at a time, and only while it is active.

use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::observed::TableState;
use sumu_operator::plan::step::TableStep;
use sumu_operator::stack::name::TableId;

use super::{Answer, Work, World, refusal, refuse};

impl World {
    pub(super) fn table_call(&mut self, id: TableId, step: &TableStep) -> Answer {
        match step {
            TableStep::Create { name, table, tags } => {
                assert_eq!(*name, self.names.table(id));
                if let Some(found) = self.held.tables.get(&id) {
                    self.must_own(name, &found.tags);
                    return refuse("CreateTable", name, Kind::AlreadyExists, "Table already exists");
                }
                let state = TableState {
                    tags: tags.clone(),
                    arn: self.names.table_arn(id),
                    status: "CREATING".into(),
                    stream_arn: table.has_stream.then(|| self.stream_arn(id)),
                    has_other_stream: false,
                    ttl_attribute: None,
                    is_protected: table.is_protected == Some(true),
                    has_recovery: Some(false),
                };
                self.held.tables.insert(id, state);
                self.begin(Work::Table(id), self.pace.table);
                Ok(())
            }
            TableStep::SetStream { name, on } => self.set_stream(id, name, *on),
            TableStep::SetRecovery { name, on } => {
                self.active_table("UpdateContinuousBackups", id, name)?.has_recovery = Some(*on);
                Ok(())
            }
            TableStep::SetTtl { name, attribute, on } => self.set_ttl(id, name, attribute, *on),
            TableStep::SetProtection { name, on } => {
                self.active_table("UpdateTable", id, name)?.is_protected = *on;
                self.update_table(id);
                Ok(())
            }
            TableStep::Delete { name } => self.delete_table(id, name),
        }
    }

    /// A table that takes changes.
    fn active_table(
        &mut self,
        operation: &'static str,
        id: TableId,
        name: &str,
    ) -> Result<&mut TableState, CloudError> {
        assert_eq!(name, self.names.table(id));
        let Some(found) = self.held.tables.get(&id) else {
            return Err(refusal(operation, name, Kind::NotFound, "Requested resource not found"));
        };
        self.must_own(name, &found.tags);
        if !found.is_active() {
            let message = format!("Attempt to change a resource which is still in use: {}", found.status);
            return Err(refusal(operation, name, Kind::Busy, &message));
        }
        Ok(self.held.tables.get_mut(&id).unwrap())
    }

    fn update_table(&mut self, id: TableId) {
        self.held.tables.get_mut(&id).unwrap().status = "UPDATING".into();
        self.begin(Work::Table(id), self.pace.table);
    }

    /// Every stream has an ARN of its own, also the second one of the same table.
    fn stream_arn(&mut self, id: TableId) -> String {
        format!("{}/stream/{}", self.names.table_arn(id), self.next_id())
    }

    fn set_stream(&mut self, id: TableId, name: &str, on: bool) -> Answer {
        const OPERATION: &str = "UpdateTable";
        let arn = self.stream_arn(id);
        let table = self.active_table(OPERATION, id, name)?;
        let is_on = table.stream_arn.is_some() || table.has_other_stream;
        match (on, is_on) {
            (true, true) => return refuse(OPERATION, name, Kind::AlreadyExists, "already has an enabled stream"),
            (false, false) => return refuse(OPERATION, name, Kind::Rejected, "Table has no stream to disable"),
            (true, false) | (false, true) => {}
        }
        (table.stream_arn, table.has_other_stream) = (on.then_some(arn), false);
        self.update_table(id);
        Ok(())
    }

    fn set_ttl(&mut self, id: TableId, name: &str, attribute: &str, on: bool) -> Answer {
        const OPERATION: &str = "UpdateTimeToLive";
        let table = self.active_table(OPERATION, id, name)?;
        match (&table.ttl_attribute, on) {
            (Some(have), true) if have == attribute => {
                refuse(OPERATION, name, Kind::AlreadyExists, "TimeToLive is already enabled")
            }
            (None, false) => refuse(OPERATION, name, Kind::AlreadyExists, "TimeToLive is already disabled"),
            (Some(have), _) if have != attribute => {
                refuse(OPERATION, name, Kind::Rejected, "TimeToLive is active on a different AttributeName")
            }
            (Some(_) | None, _) => {
                table.ttl_attribute = on.then(|| attribute.to_owned());
                Ok(())
            }
        }
    }

    fn delete_table(&mut self, id: TableId, name: &str) -> Answer {
        const OPERATION: &str = "DeleteTable";
        if !self.held.tables.contains_key(&id) {
            return Ok(());
        }
        if self.active_table(OPERATION, id, name)?.is_protected {
            return refuse(OPERATION, name, Kind::Rejected, "Resource cannot be deleted as it is currently protected");
        }
        self.nobody_is_told_of(name);
        self.held.tables.get_mut(&id).unwrap().status = "DELETING".into();
        self.begin(Work::Table(id), self.pace.table);
        Ok(())
    }
}
