//! What a vCard says of a person. Of a card that is there already, nothing else is touched.

use bus_core::{Failure, OrFail};
use calcard::vcard::{VCard, VCardEntry, VCardProperty, VCardValue};

use crate::person::Person;

/// A card as it is on the server.
pub(crate) struct Contents(VCard);

impl Contents {
    /// A card with nothing but this name for it.
    pub(crate) fn new(uid: &str) -> Result<Self, Failure> {
        Self::read(&format!("BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{uid}\r\nEND:VCARD\r\n"))
    }

    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let fault = |entry| format!("this is no vCard: {entry:?}");
        VCard::parse(text).map(Self).map_err(fault).or_reject()
    }

    /// Takes over what it says of a person.
    pub(crate) fn tell(&self, person: &mut Person) -> Result<(), Failure> {
        let name = self.text(&VCardProperty::Fn);
        person.name = name.ok_or("the card has no name (FN); give it one").or_reject()?;
        person.email = self.text(&VCardProperty::Email);
        person.phone = self.text(&VCardProperty::Tel);
        Ok(())
    }

    /// Says what a person is now.
    pub(crate) fn take_over(&mut self, person: &Person) {
        self.set(VCardProperty::Fn, Some(&person.name));
        self.set(VCardProperty::Email, person.email.as_ref());
        self.set(VCardProperty::Tel, person.phone.as_ref());
    }

    fn text(&self, property: &VCardProperty) -> Option<String> {
        let value = self.0.property(property)?.values.first()?;
        value.as_text().map(str::to_owned)
    }

    fn set(&mut self, property: VCardProperty, text: Option<&String>) {
        let place = self.0.entries.iter().position(|entry| entry.name == property);
        let value = text.map(|text| VCardValue::Text(text.clone()));
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
