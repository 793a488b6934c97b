//! Lines that name types, sites and code names by pattern, and a rule of their own.

use bus_runtime::ConnectorConfig;
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Company, User, Watcher};
use serde_json::json;

stories!(types_sites_code_names_and_filters_choose_what_is_told);

async fn types_sites_code_names_and_filters_choose_what_is_told(bus: TestBus) {
    let log = FakePeer::new("log");
    let watcher = ConnectorConfig::new("watcher".parse().unwrap()).settings(json!({ "except": "anna" }));
    let bus = bus.site("corp").linked::<Watcher>().registered(watcher).object::<User>().object::<Company>();
    let bus = bus.provide(log.clone()).start().await;
    bus.objects().save(&mut Company::new("acme", "Acme")).await.unwrap();
    let mut corporate = User::new("ada", "Ada");
    corporate.site = Some("corp".to_owned());
    let mut global = User::new("anna", "Anna");
    for user in [&mut corporate, &mut global] {
        bus.objects().save(user).await.unwrap(); // told of creates on the site only
        user.name.push('!');
        bus.objects().save(user).await.unwrap(); // told of updates of A%, except anna
        bus.objects().delete::<User>(&user.id).await.unwrap(); // told of deletes of global ones only
    }
    bus.until_idle().await;
    assert_eq!(
        log.calls(),
        [
            "create app.company \"acme\"",
            "create app.user ada of corp",
            "update app.user ada of corp",
            "delete app.user anna of no site"
        ]
    );
}
