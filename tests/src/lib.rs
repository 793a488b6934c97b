//! The sample application of the tests: users who work for companies, and connectors that keep fakes in step with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::{
    AnyObject, BusObject, Change, ChangeSummary, Children, Connector, Cx, Failure, Incoming, NoSettings,
    ObjectOperation, ObjectParams, ObjectType, Outgoing, Prepared, Received, Ref, Settings, SiteName,
    connector,
};
use bus_testkit::FakePeer;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Somebody's employer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.company", display = "Company")]
pub struct Company {
    /// Given by the bus.
    #[object(id)]
    pub id: i64,
    /// `acme`.
    #[object(code_name)]
    pub code: String,
    /// `Acme Ltd.`
    #[object(display_name)]
    pub name: String,
}

/// A user of the application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, BusObject)]
#[object(type = "app.user", display = "User")]
pub struct User {
    /// Given by the bus.
    #[object(id)]
    pub id: i64,
    /// Given by the bus.
    #[object(guid)]
    pub guid: Uuid,
    /// `ada`.
    #[object(code_name)]
    pub login: String,
    /// `Ada Lovelace`.
    #[object(display_name)]
    pub name: String,
    /// What only the application knows.
    pub note: Option<String>,
    /// The site the user belongs to; none for a global user.
    #[object(site)]
    pub site: Option<String>,
    /// Where they work.
    pub company: Option<Ref<Company>>,
    /// Whom they report to.
    pub manager: Option<Ref<User>>,
    /// Where they live.
    #[object(children)]
    pub addresses: Children<Address>,
}

/// Where somebody lives; a child of a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// `London`.
    pub city: String,
    /// Who pays the rent.
    pub paid_by: Option<Ref<Company>>,
}

impl User {
    /// A new user.
    pub fn new(login: &str, name: &str) -> Self {
        Self { login: login.to_owned(), name: name.to_owned(), ..Self::default() }
    }

    /// Working there.
    #[must_use]
    pub fn at(mut self, company: &Company) -> Self {
        self.company = Some(Ref::host(company.id));
        self
    }
}

impl Company {
    /// A new company.
    pub fn new(code: &str, name: &str) -> Self {
        Self { id: 0, code: code.to_owned(), name: name.to_owned() }
    }
}

/// What the CRM calls a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// `003xx`.
    pub uid: String,
    /// The user's login.
    pub login: String,
    /// The user's name.
    pub name: String,
    /// The number of the account that they belong to.
    pub account: Option<String>,
    /// The uid of the contact that they report to.
    pub boss: Option<String>,
}

/// What the CRM calls a company.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// `A-1`.
    pub number: String,
    /// The company's code.
    pub code: String,
    /// The company's name.
    pub name: String,
}

impl Contact {
    /// A contact without relations.
    pub fn new(uid: &str, login: &str, name: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            login: login.to_owned(),
            name: name.to_owned(),
            account: None,
            boss: None,
        }
    }
}

impl Account {
    /// An account.
    pub fn new(number: &str, code: &str, name: &str) -> Self {
        Self { number: number.to_owned(), code: code.to_owned(), name: name.to_owned() }
    }
}

/// What the CRM can tell of its ids when it is asked: code names by type and external id. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<Mutex<BTreeMap<(String, String), String>>>);

impl Directory {
    /// Lets the CRM know this id.
    pub fn add(&self, object_type: &str, external_id: &str, code_name: &str) {
        let key = (object_type.to_owned(), external_id.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, code_name.to_owned());
    }

    fn get(&self, object_type: &ObjectType, external_id: &str) -> Option<String> {
        let key = (object_type.to_string(), external_id.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

/// Keeps a CRM in step with users and companies, both ways.
#[connector(name = "crm", create_once = repeatable, needs(FakePeer, Directory))]
#[outgoing(User, data = snapshot)]
#[outgoing(Company)]
#[incoming(Contact, key = uid)]
#[incoming(Account, key = number)]
pub struct Crm;

impl Connector for Crm {
    type Settings = NoSettings;

    async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
        cx.handle::<FakePeer>()?.check_connection()?;
        Ok(Self)
    }

    async fn internal_object_params(
        &self,
        external_id: &str,
        object_type: &ObjectType,
        cx: &Cx,
    ) -> Result<Option<ObjectParams>, Failure> {
        cx.handle::<FakePeer>()?.say(format!("who is {object_type} {external_id}"))?;
        Ok(cx.handle::<Directory>()?.get(object_type, external_id).map(ObjectParams::code_name))
    }
}

impl Outgoing<User> for Crm {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        keep(&change, cx)
    }
}

impl Outgoing<Company> for Crm {
    async fn deliver(&self, change: Change<Company>, cx: &Cx) -> Result<(), Failure> {
        keep(&change, cx)
    }
}

/// Puts the object where the external system keeps it, or takes it away.
fn keep<T: BusObject>(change: &Change<T>, cx: &Cx) -> Result<(), Failure> {
    let peer = cx.handle::<FakePeer>()?;
    if change.operation() == ObjectOperation::Delete {
        return peer.remove(change.external_id());
    }
    let id = peer.put(change.external_id(), &change.object)?;
    change.bind(id);
    Ok(())
}

impl Incoming<Contact> for Crm {
    type Object = User;

    async fn prepare_internal_object(
        &self,
        received: Received<Contact, User>,
        _: &Cx,
    ) -> Result<Prepared<User>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        let contact = received.object;
        if contact.login.is_empty() {
            return Err(Failure::reject(format!("contact {} has no login", contact.uid)));
        }
        let mut user = received.existing.unwrap_or_default();
        user.login = contact.login;
        user.name = contact.name;
        // What is added to a site stays global.
        if !received.operation.is_of_site() {
            user.site = received.site.map(String::from).or(user.site);
        }
        user.company = contact.account.map(Ref::external);
        user.manager = contact.boss.map(Ref::external);
        Ok(user.into())
    }
}

impl Incoming<Account> for Crm {
    type Object = Company;

    async fn prepare_internal_object(
        &self,
        received: Received<Account, Company>,
        _: &Cx,
    ) -> Result<Prepared<Company>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        let mut company = received.existing.unwrap_or_default();
        company.code = received.object.code;
        company.name = received.object.name;
        Ok(company.into())
    }
}

/// Writes one line for everything that happens to users.
#[connector(name = "event-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, data = snapshot)]
pub struct EventLog;

/// Writes one line for everything that happens to users' own fields.
#[connector(name = "field-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, data = simple)]
pub struct FieldLog;

/// Is told of updates twice over, once with everything.
#[connector(name = "greedy-log", create_once = repeatable, needs(FakePeer))]
#[outgoing(User, data = simple)]
#[outgoing(User, on(update), data = snapshot)]
pub struct GreedyLog;

macro_rules! logs_users {
    ($($connector:ident),*) => {
        $(
            impl Connector for $connector {
                type Settings = NoSettings;
                async fn connect(_: NoSettings, cx: &Cx) -> Result<Self, Failure> {
                    cx.handle::<FakePeer>()?.check_connection()?;
                    Ok(Self)
                }
            }

            impl Outgoing<User> for $connector {
                async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
                    let line = format!("{} {} {}", change.operation(), change.object.login, change.data_type());
                    cx.handle::<FakePeer>()?.say(line)
                }
            }
        )*
    };
}

logs_users!(EventLog, FieldLog, GreedyLog);

/// What the watcher watches.
#[derive(Debug, Deserialize, Settings)]
pub struct WatcherSettings {
    /// A login whose user is not watched.
    #[serde(default)]
    pub except: Option<String>,
}

/// Watches objects of every kind, by type, site, code name, and its own rule.
#[connector(name = "watcher", create_once = repeatable, needs(FakePeer))]
#[outgoing(AnyObject, type = "app.co%", data = simple)]
#[outgoing(User, on(create), site = "corp", data = simple)]
#[outgoing(User, on(delete), global, data = simple)]
#[outgoing(User, on(update), code_name = "A%", data = simple, filter = Watcher::is_watched)]
pub struct Watcher;

impl Watcher {
    fn is_watched(change: &ChangeSummary, settings: &WatcherSettings) -> bool {
        change.code_name != settings.except
    }
}

impl Connector for Watcher {
    type Settings = WatcherSettings;
    async fn connect(_: WatcherSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Outgoing<AnyObject> for Watcher {
    async fn deliver(&self, change: Change<AnyObject>, cx: &Cx) -> Result<(), Failure> {
        let code = change.object.get("code").cloned().unwrap_or_default();
        cx.handle::<FakePeer>()?.say(format!("{} {} {code}", change.operation(), change.object.object_type))
    }
}

impl Outgoing<User> for Watcher {
    async fn deliver(&self, change: Change<User>, cx: &Cx) -> Result<(), Failure> {
        let site = change.site().map_or("no site", SiteName::as_str);
        let login = &change.object.login;
        cx.handle::<FakePeer>()?.say(format!("{} app.user {login} of {site}", change.operation()))
    }
}
