//! How the standard's records come in.

use bus_core::{
    BusObject, Connector, Cx, Failure, Incoming, NoSettings, ObjectOperation, ObjectParams, ObjectType,
    Prepared, Received, Ref, connector,
};

use crate::objects::{Country, Subdivision};
use crate::published::{IsoCountry, IsoSubdivision};

/// Takes over the countries and subdivisions of ISO 3166.
///
/// The standard owns every field of both, so nothing of an object that exists already is looked at. Its id stays: the
/// bus never changes the id of what is there.
#[connector(name = "iso3166")]
#[incoming(IsoCountry, key = alpha2)]
#[incoming(IsoSubdivision, key = code)]
#[derive(Debug)]
pub struct Iso3166;

impl Connector for Iso3166 {
    type Settings = NoSettings;

    async fn connect(_settings: NoSettings, _cx: &Cx) -> Result<Self, Failure> {
        Ok(Self)
    }

    /// Countries that this connector brought are found by the identity map. This finds those that the host had before,
    /// too: what ISO calls a country is its code name.
    async fn internal_object_params(
        &self,
        external_id: &str,
        object_type: &ObjectType,
        _cx: &Cx,
    ) -> Result<Option<ObjectParams>, Failure> {
        let is_country = object_type.as_str() == Country::TYPE;
        Ok(is_country.then(|| ObjectParams::code_name(external_id)))
    }
}

impl Incoming<IsoCountry> for Iso3166 {
    type Object = Country;

    async fn prepare_internal_object(
        &self,
        received: Received<IsoCountry, Country>,
        _cx: &Cx,
    ) -> Result<Prepared<Country>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        let IsoCountry { alpha2, alpha3, numeric, name } = received.object;
        Ok(Country { id: 0, alpha2, name, alpha3, numeric }.into())
    }
}

impl Incoming<IsoSubdivision> for Iso3166 {
    type Object = Subdivision;

    async fn prepare_internal_object(
        &self,
        received: Received<IsoSubdivision, Subdivision>,
        _cx: &Cx,
    ) -> Result<Prepared<Subdivision>, Failure> {
        if received.operation == ObjectOperation::Delete {
            return Ok(Prepared::existing());
        }
        let IsoSubdivision { code, name, category, country } = received.object;
        // The country as ISO calls it. The bus translates it, and lets the subdivision wait where it is not there yet.
        let country = Ref::external(country);
        Ok(Subdivision { id: 0, code, name, category, country }.into())
    }
}
