//! What a page that comes in says of one that travels both ways: what was told there, coming back, or something new.

use bus_core::{ObjectType, PageOperation, Subject};
use bus_store::{Binding, Claimed, ExchangeWrite, Said, Travel};
use serde_json::{Map, Value};

use super::super::exchange::taken;
use super::super::{Application, NotApplied, travel_of};
use crate::flow::echo::{Heard, alternations, heard, travels_both_ways};
use crate::flow::page::wanted::Wanted;
use crate::flow::page::{page_fields, payload, told_fields};

/// What a task comes to by that.
pub(super) struct Hearing {
    /// Whether nothing of it is new: the page stays as it is.
    pub(super) is_echo: bool,
    /// What is told of it stands here on its way.
    pub(super) travel: Travel,
    /// What is known now, to be written with the rest.
    pub(super) said: Vec<ExchangeWrite>,
}

impl Application<'_> {
    /// Measures what would become of a page by what was exchanged about it. How far a page has come, and where it stands, is
    /// not measured: that it is so already says the page itself.
    pub(super) async fn page_heard(
        &self,
        claimed: &Claimed,
        class_name: &ObjectType,
        binding: Option<&Binding>,
        wanted: &Wanted,
        fields: &Map<String, Value>,
    ) -> Result<Hearing, NotApplied> {
        let mut hearing = Hearing { is_echo: false, travel: travel_of(claimed), said: Vec::new() };
        let travels = travels_both_ways(self.linked, Subject::Pages, class_name.as_str());
        let is_moved = claimed.operation == PageOperation::Move;
        let Some(binding) = binding.filter(|_| travels && !is_moved) else { return Ok(hearing) };
        let after = page_fields(fields.clone(), &wanted.name);
        let Some(stored) = self.shared.store.page(wanted.guid, &wanted.culture).await? else {
            hearing.said.push(taken(binding, after, 0));
            return Ok(hearing);
        };
        let exchanged = self.exchanged(claimed, binding).await?;
        let before = told_fields(&payload(&stored)?);
        let sent = if claimed.is_redelivered { &[] } else { exchanged.sent.as_slice() };
        let last = exchanged.agreed.as_ref();
        match heard(&before, &after, sent, last, claimed.logged_at) {
            Heard::Echo(echo) => {
                tracing::debug!(object = %binding.object, connector = %binding.connector, delivery = %echo.delivery,
                    "echo.suppressed");
                let up_to = echo.delivery;
                hearing.said.push(ExchangeWrite { binding: binding.clone(), said: Said::Heard { up_to } });
                hearing.is_echo = before != after;
                return Ok(hearing);
            }
            Heard::Answer(to) => {
                hearing.travel.cause = Some(to.task);
                hearing.travel.hop = to.hop.saturating_add(1);
            }
            Heard::News => {}
        }
        if before != after {
            let turns = alternations(last, self.shared.now());
            self.check_loop(claimed, binding, hearing.travel.hop, turns)?;
            hearing.said.push(taken(binding, after, turns));
        }
        Ok(hearing)
    }
}
