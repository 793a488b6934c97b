//! A connector, an object and settings in a crate that knows `bus-core` as `words`, and of ours nothing else.

use serde::{Deserialize, Serialize};
use words::{
    BusObject, Change, ChangeSummary, Connector, Cx, Failure, Incoming, NoSettings, Outgoing, Prepared,
    Received, Ref, Secret, Settings, blocking, connector,
};

/// A company of the host.
#[derive(Debug, Serialize, Deserialize, BusObject)]
#[object(type = "renamed.company", crate = words)]
pub struct Company {
    /// Its id.
    #[object(id)]
    pub id: i64,
    /// Its code name.
    #[object(code_name)]
    pub code: String,
    /// The company that owns it.
    #[object(parent)]
    pub owner: Option<Ref<Company>>,
}

/// What the other system sends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Firm {
    /// What identifies it there.
    pub number: u32,
}

/// What the operator sets.
#[derive(Debug, Deserialize, Settings)]
#[settings(crate = words)]
pub struct RegisterSettings {
    /// Where the register answers.
    pub url: String,
    /// The key to it.
    pub key: Secret,
    /// How it answers.
    #[serde(default)]
    pub format: Format,
}

/// How the register answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Settings)]
#[settings(crate = words)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As a table.
    PlainText,
}

/// Something that the application provides.
#[derive(Debug)]
pub struct HostDb;

/// Keeps the register of companies in step.
#[connector(name = "register", needs(HostDb), crate = words)]
#[outgoing(Company, on(create, update), data = snapshot, filter = Self::has_code)]
#[incoming(Firm, key = number)]
#[derive(Debug)]
pub struct Register {
    _settings: RegisterSettings,
}

impl Register {
    fn has_code(change: &ChangeSummary, settings: &RegisterSettings) -> bool {
        change.code_name.is_some() && settings.format == Format::Json
    }
}

impl Connector for Register {
    type Settings = RegisterSettings;
    async fn connect(settings: RegisterSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self { _settings: settings })
    }
}

impl Outgoing<Company> for Register {
    async fn deliver(&self, _: Change<Company>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

impl Incoming<Firm> for Register {
    type Object = Company;
    async fn prepare_internal_object(
        &self,
        received: Received<Firm, Company>,
        _: &Cx,
    ) -> Result<Prepared<Company>, Failure> {
        Ok(Company { id: 0, code: received.object.number.to_string(), owner: None }.into())
    }
}

/// Writes down what the register is told, before the caller goes on.
#[connector(name = "minutes", blocking, crate = words)]
#[outgoing(Company, sync)]
#[incoming(Firm, unordered)]
#[derive(Debug)]
pub struct Minutes;

impl Connector for Minutes {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl blocking::Outgoing<Company> for Minutes {
    fn deliver(&self, _: Change<Company>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

impl blocking::Incoming<Firm> for Minutes {
    type Object = Company;
    fn prepare_internal_object(
        &self,
        _: Received<Firm, Company>,
        _: &Cx,
    ) -> Result<Prepared<Company>, Failure> {
        Ok(Prepared::Ignore)
    }
}
