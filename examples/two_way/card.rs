//! What a vCard (RFC 6350) says of a person or a company. Of a card that is there already, nothing else is touched.

use bus_core::{Failure, OrFail, Ref};
use calcard::vcard::{VCard, VCardEntry, VCardProperty, VCardValue};

use crate::objects::{Company, Person};

/// Where a person's card names the card of the company. There is no property for it that all would agree on.
const COMPANY: &str = "X-COMPANY";

/// A card as it is on the server.
pub(crate) struct Contents(VCard);

impl Contents {
    /// A card with nothing but this name for it.
    pub(crate) fn new(uid: &str) -> Result<Self, Failure> {
        Self::read(&format!("BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{uid}\r\nEND:VCARD\r\n"))
    }

    /// What is no vCard is nothing that time would cure.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let begin = text.lines().next().unwrap_or_default();
        let fault = |_| format!("what begins with `{begin}` is no vCard; put one in its place, or remove it");
        VCard::parse(text).map(Self).map_err(fault).or_reject()
    }

    fn name(&self) -> Result<String, Failure> {
        let name = self.text(&VCardProperty::Fn).filter(|name| !name.is_empty());
        name.ok_or("the card has no name; give it one (FN)").or_reject()
    }

    fn text(&self, property: &VCardProperty) -> Option<String> {
        let value = self.0.property(property)?.values.first()?;
        value.as_text().map(str::to_owned)
    }

    fn set(&mut self, property: VCardProperty, text: Option<&str>) {
        let place = self.0.entries.iter().position(|entry| entry.name == property);
        let value = text.map(|text| VCardValue::Text(text.to_owned()));
        match (place, value) {
            (Some(place), Some(value)) => self.0.entries[place].values = vec![value],
            (Some(place), None) => drop(self.0.entries.remove(place)),
            (None, Some(value)) => {
                let end = self.0.entries.iter().position(|entry| entry.name == VCardProperty::End);
                let end = end.unwrap_or(self.0.entries.len());
                self.0.entries.insert(end, VCardEntry::new(property).with_value(value));
            }
            (None, None) => {}
        }
    }
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What has a card.
pub(crate) trait OnCard {
    /// Becomes what the card says.
    fn take_over(&mut self, contents: &Contents) -> Result<(), Failure>;

    /// Has the card say what it is.
    fn write(&self, contents: &mut Contents);
}

impl OnCard for Person {
    fn take_over(&mut self, contents: &Contents) -> Result<(), Failure> {
        self.name = contents.name()?;
        self.email = contents.text(&VCardProperty::Email);
        self.phone = contents.text(&VCardProperty::Tel);
        self.company = contents.text(&VCardProperty::Other(COMPANY.to_owned())).map(Ref::external);
        Ok(())
    }

    fn write(&self, contents: &mut Contents) {
        contents.set(VCardProperty::Fn, Some(&self.name));
        contents.set(VCardProperty::Email, self.email.as_deref());
        contents.set(VCardProperty::Tel, self.phone.as_deref());
        // By now it is the company's card: the bus has translated it.
        let company = self.company.as_ref().and_then(Ref::external_id);
        contents.set(VCardProperty::Other(COMPANY.to_owned()), company);
    }
}

impl OnCard for Company {
    fn take_over(&mut self, contents: &Contents) -> Result<(), Failure> {
        self.name = contents.name()?;
        Ok(())
    }

    fn write(&self, contents: &mut Contents) {
        contents.set(VCardProperty::Fn, Some(&self.name));
        contents.set(VCardProperty::Kind, Some("org"));
    }
}
