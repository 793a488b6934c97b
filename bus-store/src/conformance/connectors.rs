//! Laws of [`Connectors`](crate::Connectors).

use bus_core::{DeliveryState, Direction};
use serde_json::json;

use super::Rig;
use super::bench::{Bench, at, binding, connector, kind_of, parked, task, user_key};
use crate::StoreErrorKind;
use crate::connectors::{Circuit, ConnectorRecord, ConnectorState, RecordOwner, Switches};
use crate::operate::{DeliveryFilter, ERROR_BYTES_MAX, Verb};
use crate::queue::{Outcome, QueueId};
use crate::task_log::Commit;

/// Records come back as they were saved, by name; a second one of a name takes the place of the first.
pub async fn records_come_back_as_they_were_saved(rig: &dyn Rig) {
    let store = rig.open().await;
    assert_eq!(store.connectors().await.unwrap(), []);
    let shop = record("shop");
    let crm = ConnectorRecord {
        display_name: "CRM „Europe“".to_owned(),
        uses: "crm".to_owned(),
        state: ConnectorState::Paused,
        settings: json!({ "url": "https://crm.example", "deep": { "list": [1, 2.5, null, true, "ü"] } }),
        processing: json!({ "concurrency": 4 }),
        owner: RecordOwner::File,
        ..record("crm-eu")
    };
    store.save_connector(shop.clone()).await.unwrap();
    store.save_connector(crm.clone()).await.unwrap();
    assert_eq!(store.connectors().await.unwrap(), [crm.clone(), shop]);
    let shop = ConnectorRecord { settings: json!(null), owner: RecordOwner::File, ..record("shop") };
    store.save_connector(shop.clone()).await.unwrap();
    assert_eq!(store.connectors().await.unwrap(), [crm, shop]);
}

/// What a connector subscribes to comes back as it was published last, with or without a record of the connector.
pub async fn published_subscriptions_come_back(rig: &dyn Rig) {
    let store = rig.open().await;
    assert_eq!(store.published_subscriptions().await.unwrap(), []);
    store.publish_subscriptions(&connector("crm"), json!(["old"])).await.unwrap();
    store.publish_subscriptions(&connector("shop"), json!([])).await.unwrap();
    let said = json!([{ "object_type": "app.%", "site": "ü" }]);
    store.publish_subscriptions(&connector("crm"), said.clone()).await.unwrap();
    store.save_connector(record("crm")).await.unwrap();
    let expected = [(connector("crm"), said), (connector("shop"), json!([]))];
    assert_eq!(store.published_subscriptions().await.unwrap(), expected);
}

/// A connector's state changes by itself, and nothing else with it.
pub async fn a_connector_changes_its_state(rig: &dyn Rig) {
    let store = rig.open().await;
    store.save_connector(record("crm")).await.unwrap();
    store.save_connector(record("shop")).await.unwrap();
    for state in
        [ConnectorState::Disabled, ConnectorState::Stopped, ConnectorState::Paused, ConnectorState::Enabled]
    {
        store.set_connector_state(&connector("crm"), state).await.unwrap();
        let expected = [ConnectorRecord { state, ..record("crm") }, record("shop")];
        assert_eq!(store.connectors().await.unwrap(), expected);
    }
    let nobody = store.set_connector_state(&connector("erp"), ConnectorState::Paused).await;
    assert_eq!(kind_of(nobody), Some(StoreErrorKind::NotFound));
    assert_eq!(store.connectors().await.unwrap().len(), 2);
}

/// The switches are none until they are set, and each of the five is kept.
pub async fn the_switches_are_kept(rig: &dyn Rig) {
    let store = rig.open().await;
    assert_eq!(store.switches().await.unwrap(), None);
    let on = Switches::default();
    for switches in [
        on,
        Switches { bus: false, ..on },
        Switches { log_outgoing: false, ..on },
        Switches { process_outgoing: false, ..on },
        Switches { log_incoming: false, ..on },
        Switches { process_incoming: false, ..on },
    ] {
        store.set_switches(switches).await.unwrap();
        assert_eq!(store.switches().await.unwrap(), Some(switches));
    }
}

/// The revision is another one after whatever is set, and the same as long as nothing is.
pub async fn the_revision_tells_that_something_was_set(rig: &dyn Rig) {
    let store = rig.open().await;
    let crm = connector("crm");
    let mut known = vec![store.revision().await.unwrap()];
    let mut is_new = async |what: &str| {
        let revision = store.revision().await.unwrap();
        assert!(!known.contains(&revision), "{what}");
        assert_eq!(store.revision().await.unwrap(), revision, "{what}: nothing was set since");
        known.push(revision);
    };
    store.save_connector(record("crm")).await.unwrap();
    is_new("a new record").await;
    store.save_connector(ConnectorRecord { settings: json!(1), ..record("crm") }).await.unwrap();
    is_new("a changed record").await;
    store.set_connector_state(&crm, ConnectorState::Paused).await.unwrap();
    is_new("a state").await;
    store.publish_subscriptions(&crm, json!(["x"])).await.unwrap();
    is_new("subscriptions").await;
    store.set_switches(Switches { bus: false, ..Switches::default() }).await.unwrap();
    is_new("switches").await;
    store.delete_connector(&crm).await.unwrap();
    is_new("a deletion").await;
}

/// A connector whose deliveries have all ended can be deleted: its record, what it published and its circuit go, its
/// bindings, counters and history stay.
pub async fn a_connector_without_open_deliveries_can_be_deleted(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let (store, crm) = (&bench.store, connector("crm"));
    for name in ["crm", "shop"] {
        store.save_connector(record(name)).await.unwrap();
        store.publish_subscriptions(&connector(name), json!([])).await.unwrap();
        store.set_circuit(&connector(name), Some(circuit("refused"))).await.unwrap();
    }
    bench.bind(binding(4, "003a")).await;
    let ended = bench.log_settled("x", Outcome::Completed).await;
    let counters = bench.counters().await;
    assert!(store.delete_connector(&crm).await.unwrap());
    assert_eq!(store.connectors().await.unwrap(), [record("shop")]);
    assert_eq!(store.published_subscriptions().await.unwrap(), [(connector("shop"), json!([]))]);
    assert_eq!(store.circuits().await.unwrap(), [(connector("shop"), circuit("refused"))]);
    assert_eq!(bench.external_id(&user_key(4)).await.as_deref(), Some("003a"));
    assert_eq!(bench.counters().await, counters);
    assert_eq!(bench.state(ended).await, DeliveryState::Completed);
    assert!(store.queues().await.unwrap().contains(&bench.queue));
    assert!(!store.delete_connector(&crm).await.unwrap(), "it is gone already");
    let gone = store.set_connector_state(&crm, ConnectorState::Enabled).await;
    assert_eq!(kind_of(gone), Some(StoreErrorKind::NotFound));
}

/// A connector with open deliveries, in whichever direction and state, is not deleted, and says how many.
pub async fn a_connector_with_open_deliveries_is_not_deleted(rig: &dyn Rig) {
    let bench = Bench::open(rig).await;
    let (store, crm) = (&bench.store, connector("crm"));
    store.save_connector(record("crm")).await.unwrap();
    let stuck = bench.log_settled("x", parked()).await;
    let incoming = QueueId::new(crm.clone(), Direction::Incoming);
    let tasks = vec![task(&incoming, "x"), task(&incoming, "y")];
    bench.commit(Commit { tasks, ..Commit::at(at(0)) }).await;
    let refused = store.delete_connector(&crm).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict);
    assert!(refused.to_string().contains('3') && refused.to_string().contains("crm"), "{refused}");
    bench.intervene(Verb::Discard, [stuck]).await;
    assert_eq!(kind_of(store.delete_connector(&crm).await), Some(StoreErrorKind::Conflict));
    assert_eq!(store.connectors().await.unwrap(), [record("crm")]);
    for summary in store.deliveries(&incoming, &DeliveryFilter::default()).await.unwrap() {
        bench.intervene(Verb::Discard, [summary.delivery]).await;
    }
    assert!(store.delete_connector(&crm).await.unwrap());
}

/// An open circuit comes back as it was written last, with or without a record, until it is closed.
pub async fn open_circuits_are_kept(rig: &dyn Rig) {
    let store = rig.open().await;
    assert_eq!(store.circuits().await.unwrap(), []);
    let (crm, shop) = (connector("crm"), connector("shop"));
    store.set_circuit(&shop, Some(circuit("refused"))).await.unwrap();
    store.set_circuit(&crm, Some(circuit("refused"))).await.unwrap();
    let again = Circuit { probe_at: at(90), failures: 6, ..circuit("timed out „ü“") };
    store.set_circuit(&crm, Some(again.clone())).await.unwrap();
    store.save_connector(record("crm")).await.unwrap();
    let expected = [(crm.clone(), again), (shop.clone(), circuit("refused"))];
    assert_eq!(store.circuits().await.unwrap(), expected);
    store.set_circuit(&crm, None).await.unwrap();
    store.set_circuit(&crm, None).await.expect("closing what is closed does nothing");
    assert_eq!(store.circuits().await.unwrap(), [(shop.clone(), circuit("refused"))]);
    store.set_circuit(&shop, Some(circuit(&"€".repeat(ERROR_BYTES_MAX)))).await.unwrap();
    let kept = &store.circuits().await.unwrap()[0].1.error;
    assert!(kept.len() <= ERROR_BYTES_MAX && kept.ends_with('…'), "{}", kept.len());
}

fn circuit(error: &str) -> Circuit {
    Circuit { opened_at: at(1), probe_at: at(31), failures: 5, error: error.to_owned() }
}

pub(super) fn record(name: &str) -> ConnectorRecord {
    ConnectorRecord {
        name: connector(name),
        display_name: name.to_owned(),
        uses: name.to_owned(),
        state: ConnectorState::Enabled,
        settings: json!({}),
        processing: json!({}),
        owner: RecordOwner::Operator,
    }
}
