//! A bus for tests: in memory (or in a temporary file), with a manual clock, seeded dice and fake external systems.
//!
//! ```
//! use bus_core::{BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, connector};
//! use bus_testkit::{FakePeer, TestBus};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, BusObject)]
//! #[object(type = "app.user", display = "User")]
//! struct User {
//!     #[object(id)]
//!     id: i64,
//!     #[object(code_name)]
//!     login: String,
//! }
//!
//! /// Keeps a fake in step with the users.
//! #[connector(name = "crm")]
//! #[outgoing(User)]
//! struct Crm;
//!
//! impl Connector for Crm {
//!     type Settings = NoSettings;
//!     async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
//!         Ok(Crm)
//!     }
//! }
//!
//! impl Outgoing<User> for Crm {
//!     async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
//!         let peer = cx.handle::<FakePeer>()?;
//!         let id = peer.put(change.external_id(), &change.object)?;
//!         change.bind(id);
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let peer = FakePeer::new("crm");
//! let bus = TestBus::new().connector::<Crm>("crm").object::<User>().provide(peer.clone()).start().await;
//! let mut ada = User { id: 0, login: "ada".to_owned() };
//! bus.objects().save(&mut ada).await.unwrap();
//! bus.until_idle().await;
//! assert_eq!(peer.calls(), ["put crm-1"]);
//! assert_eq!(peer.get("crm-1").unwrap()["login"], "ada");
//! # });
//! ```

mod clock;
mod intercepted;
mod mirror;
mod peer;
mod test_bus;

pub use clock::ManualClock;
pub use intercepted::{Intercept, Intercepted};
pub use mirror::Mirror;
pub use peer::{FakePeer, Script};
pub use test_bus::{RunningTestBus, TestBus};
