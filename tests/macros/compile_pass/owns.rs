//! What a connector owns: fields as Rust names them, be they keywords, or as they are called in JSON.

use bus_core::{AnyObject, BusObject, Cx, Failure, Incoming, Prepared, Received, Ref, blocking, connector};
use bus_tests_macros::{Contact, Lead, connects};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, BusObject)]
#[object(type = "app.person")]
#[serde(rename_all = "camelCase")]
struct Person {
    #[object(id)]
    id: i64,
    phone_number: String,
    r#type: String,
    manager: Option<Ref<Person>>,
}

#[connector(name = "crm")]
#[incoming(Contact, key = uid, owns(phone_number, r#type, "manager"))]
#[incoming(Lead, key = uid, owns("anything"))]
struct Crm;

connects!(Crm);

impl Incoming<Contact> for Crm {
    type Object = Person;
    async fn prepare_internal_object(
        &self,
        _: Received<Contact, Person>,
        _: &Cx,
    ) -> Result<Prepared<Person>, Failure> {
        Ok(Prepared::Ignore)
    }
}

impl Incoming<Lead> for Crm {
    type Object = AnyObject;
    async fn prepare_internal_object(
        &self,
        _: Received<Lead, AnyObject>,
        _: &Cx,
    ) -> Result<Prepared<AnyObject>, Failure> {
        Ok(Prepared::Ignore)
    }
}

#[connector(name = "ledger", blocking)]
#[incoming(Contact, key = uid, owns(manager))]
struct Ledger;

connects!(Ledger);

impl blocking::Incoming<Contact> for Ledger {
    type Object = Person;
    fn prepare_internal_object(&self, _: Received<Contact, Person>, _: &Cx) -> Result<Prepared<Person>, Failure> {
        Ok(Prepared::Ignore)
    }
}

fn main() {
    use bus_core::descriptor::{ConnectorDescriptor, DescribedConnector};

    let owned = |connector: &ConnectorDescriptor| connector.incoming().map(|route| route.owned).collect::<Vec<_>>();
    assert_eq!(
        owned(Crm::DESCRIPTOR),
        [Some(&["phoneNumber", "type", "manager"][..]), Some(&["anything"][..])]
    );
    assert_eq!(owned(Ledger::DESCRIPTOR), [Some(&["manager"][..])]);
}
