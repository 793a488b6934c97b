//! What the macros registered under another name of `bus-core` is found like everything else.

use bus_tests_renamed::{Company, Minutes, Register, RegisterSettings};
use words::__private::{LinkedConnector, LinkedObject, inventory};
use words::descriptor::DescribedConnector;
use words::{Accepts, BusObject, Change, Connector, Cx, Failure, NoSettings, Outgoing, Settings, connector};

/// Asks the register over whichever wire.
#[connector(name = "inquiry", crate = words)]
#[outgoing(Company)]
struct Inquiry<Wire: Send + Sync + 'static> {
    _wire: Wire,
}

impl<Wire: Send + Sync + 'static> Connector for Inquiry<Wire> {
    type Settings = NoSettings;
    async fn connect(_: NoSettings, _: &Cx) -> Result<Self, Failure> {
        Err(Failure::reject("there is no wire"))
    }
}

impl<Wire: Send + Sync + 'static> Outgoing<Company> for Inquiry<Wire> {
    async fn deliver(&self, _: Change<Company>, _: &Cx) -> Result<(), Failure> {
        Ok(())
    }
}

words::register!(Inquiry<()>);

#[test]
fn a_connector_of_a_crate_that_renamed_the_bus_is_found() {
    let mut names: Vec<_> = inventory::iter::<LinkedConnector>().map(|linked| linked.0.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["inquiry", "minutes", "register"]);
    assert!(Minutes::DESCRIPTOR.blocks());
    assert!(Minutes::DESCRIPTOR.outgoing().all(|route| route.subscription.sync));

    let register = Register::DESCRIPTOR;
    assert_eq!(register.summary, "Keeps the register of companies in step.");
    assert_eq!(register.place.crate_name, "bus-tests-renamed");
    assert_eq!(register.place.crate_version, env!("CARGO_PKG_VERSION"));
    assert!(register.place.file.ends_with("lib.rs"), "{}", register.place);
    assert_ne!(register.place.line, 0);
    assert_eq!(format!("{:?}", register.needs), "[bus_tests_renamed::HostDb]");
    let outgoing: Vec<_> = register.outgoing().collect();
    assert_eq!(outgoing.len(), 1);
    assert_eq!(outgoing[0].subscription.object_type, "renamed.company");
    assert!(outgoing[0].filter.is_some());
    assert_eq!(register.incoming().map(|route| route.kind).collect::<Vec<_>>(), ["firm"]);
    let firm = <Register as Accepts<bus_tests_renamed::Firm>>::decode(br#"{"number":7}"#).unwrap();
    assert_eq!(Register::key(&firm).as_deref(), Some("7"));
}

#[test]
fn an_object_of_a_crate_that_renamed_the_bus_is_found() {
    let types: Vec<_> = inventory::iter::<LinkedObject>().map(|linked| linked.0.object_type).collect();
    assert_eq!(types, ["renamed.company"]);
    assert_eq!(Company::DISPLAY, "Company");
    assert_eq!(Company::REFERENCES[0].field, "owner");
}

#[test]
fn settings_of_a_crate_that_renamed_the_bus_have_their_form() {
    let schema = RegisterSettings::schema();
    assert_eq!(schema["required"].to_string(), r#"["url","key"]"#);
    assert_eq!(schema["properties"]["format"]["enum"].to_string(), r#"["json","plain_text"]"#);
}
