//! Laws of [`Connectors`](crate::Connectors).

use serde_json::json;

use super::Rig;
use super::bench::{connector, kind_of, open};
use crate::StoreErrorKind;
use crate::connectors::{ConnectorRecord, ConnectorState, RecordOwner, Switches};

/// Records come back as they were saved, by name; a second one of a name takes the place of the first.
pub async fn records_come_back_as_they_were_saved(rig: &dyn Rig) {
    let store = open(rig).await;
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
    let store = open(rig).await;
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
    let store = open(rig).await;
    store.save_connector(record("crm")).await.unwrap();
    store.save_connector(record("shop")).await.unwrap();
    for state in [ConnectorState::Disabled, ConnectorState::Paused, ConnectorState::Enabled] {
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
    let store = open(rig).await;
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

fn record(name: &str) -> ConnectorRecord {
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
