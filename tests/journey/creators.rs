//! Connectors that create users in an external system which gives them ids of its own, one for each way to create once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::descriptor::DescribedConnector;
use bus_core::{
    Change, Connector, Cx, Failure, Incoming, NoSettings, ObjectOperation, Outgoing, Prepared, Received,
    Sought, connector,
};
use bus_testkit::{FakePeer, TestBus};
use bus_tests::{Contact, User};
use tokio::sync::watch;

/// What a call answers instead of what it would.
pub(crate) type Answer = fn() -> Failure;

/// What becomes of answers on their way back. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Way {
    state: Arc<Mutex<State>>,
    is_held: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    refused: VecDeque<Answer>,
    flushes: VecDeque<Answer>,
    /// What is bound instead of what the external system says.
    bound: Option<String>,
    found: Option<String>,
    operations: Vec<String>,
}

impl Way {
    /// Lets the external system work, and its answers wait until they are let go.
    pub(crate) fn hold(&self) {
        self.is_held.send_replace(true);
    }

    pub(crate) fn let_go(&self) {
        self.is_held.send_replace(false);
    }

    /// The next call does not reach the external system.
    pub(crate) fn refuse(&self, answer: Answer) {
        self.state().refused.push_back(answer);
    }

    /// The next flush fails.
    pub(crate) fn fail_flush(&self, answer: Answer) {
        self.state().flushes.push_back(answer);
    }

    /// Every call binds this.
    pub(crate) fn bind(&self, external_id: &str) {
        self.state().bound = Some(external_id.to_owned());
    }

    /// Whoever looks something up finds this.
    pub(crate) fn find(&self, external_id: &str) {
        self.state().found = Some(external_id.to_owned());
    }

    /// What the calls were about: operation, and what the connector was told that the object is called.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.state().operations.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn back(&self) -> Result<(), Failure> {
        self.is_held.subscribe().wait_for(|is_held| !is_held).await?;
        Ok(())
    }
}

/// Says nothing of creates that come twice, and has no way to look anything up.
#[connector(name = "silent", needs(FakePeer, Way))]
#[outgoing(User, data = simple)]
pub(crate) struct Silent;

/// Looks up what may be there.
#[connector(name = "finder", create_once = find, needs(FakePeer, Way))]
#[outgoing(User, data = simple)]
#[incoming(Contact, key = uid)]
pub(crate) struct Finder;

/// Its external system takes the idempotency key for the id of what is new.
#[connector(name = "repeater", create_once = repeatable, needs(FakePeer, Way))]
#[outgoing(User, data = simple)]
pub(crate) struct Repeater;

/// Can do neither.
#[connector(name = "doubter", create_once = in_doubt, needs(FakePeer, Way))]
#[outgoing(User, data = simple)]
#[incoming(Contact, key = uid)]
pub(crate) struct Doubter;

/// A bus with one of them, called `crm`, about to start; with its external system, and the way to it.
pub(crate) fn with_creator<C: DescribedConnector>(bus: TestBus) -> (TestBus, FakePeer, Way) {
    let (peer, way) = (FakePeer::new("crm"), Way::default());
    let bus = bus.connector::<C>("crm").object::<User>();
    (bus.provide(peer.clone()).provide(way.clone()), peer, way)
}

async fn tell(change: &Change<User>, new: Option<String>, cx: &Cx) -> Result<(), Failure> {
    let (peer, way) = (cx.handle::<FakePeer>()?, cx.handle::<Way>()?);
    let told = format!("{} {}", change.operation(), change.external_id().unwrap_or("new"));
    way.state().operations.push(told);
    if let Some(answer) = way.state().refused.pop_front() {
        return Err(answer());
    }
    if change.operation() == ObjectOperation::Delete {
        return peer.remove(change.external_id());
    }
    let id = peer.put(change.external_id().or(new.as_deref()), &change.object)?;
    way.back().await?;
    change.bind(way.state().bound.clone().unwrap_or(id));
    Ok(())
}

async fn flushed(cx: &Cx) -> Result<(), Failure> {
    let answer = cx.handle::<Way>()?.state().flushes.pop_front();
    answer.map_or(Ok(()), |answer| Err(answer()))
}

/// Looks for a user of this login; writes down what it was told of them.
fn look_up(sought: &Sought<'_>, cx: &Cx) -> Result<Option<String>, Failure> {
    let peer = cx.handle::<FakePeer>()?;
    let login = sought.code_name.unwrap_or("nobody");
    let by_guid = if sought.guid.is_some() { " by its GUID" } else { "" };
    let name =
        sought.object.get("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    peer.say(format!("find {} {login} ({name}){by_guid}", sought.key))?;
    let found = cx.handle::<Way>()?.state().found.clone();
    let there = peer.records().into_iter().find(|(_, record)| record["login"] == login);
    Ok(found.or(there.map(|(id, _)| id)))
}

macro_rules! creators {
    ($($connector:ident finds $finds:literal, new $new:expr;)*) => {
        $(
            impl Connector for $connector {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
                    cx.handle::<FakePeer>()?.check_connection()?;
                    Ok(Self)
                }
                async fn flush(&self, cx: &Cx) -> Result<(), Failure> {
                    flushed(cx).await
                }
                async fn find_external(&self, sought: &Sought<'_>, cx: &Cx) -> Result<Option<String>, Failure> {
                    if $finds { look_up(sought, cx) } else { Err(Failure::not_answered()) }
                }
            }

            impl Outgoing<User> for $connector {
                async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
                    let new: fn(&Change<User>) -> Option<String> = $new;
                    tell(&change, new(&change), cx).await
                }
            }
        )*
    };
}

creators! {
    Silent finds false, new |_| None;
    Finder finds true, new |_| None;
    Repeater finds false, new |change| Some(change.idempotency_key().to_string());
    Doubter finds false, new |_| None;
}

macro_rules! accepts_contacts {
    ($($connector:ident),*) => {
        $(
            impl Incoming<Contact> for $connector {
                type Object = User;
                async fn prepare_internal_object(
                    &self,
                    received: Received<Contact, User>,
                    _: &Cx,
                ) -> Result<Prepared<User>, Failure> {
                    let mut user = received.existing.unwrap_or_default();
                    user.login = received.object.login;
                    user.name = received.object.name;
                    Ok(user.into())
                }
            }
        )*
    };
}

accepts_contacts!(Finder, Doubter);
