//! Keeps the cards of an address book and the persons of the application in step, both ways.

use bus_core::{
    Change, Connector, Cx, ExternalTask, Failure, ObjectOperation, Poll, Prepared, Received, Settings,
    blocking, connector,
};
use serde::{Deserialize, Serialize};

use crate::card::Contents;
use crate::client::{AddressBook, If};
use crate::person::Person;

/// A card, as it was polled.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    /// Where it is on the server; what it is called by.
    href: String,
    /// The vCard as the server handed it out.
    text: String,
}

#[derive(Deserialize, Settings)]
pub(crate) struct CardDavSettings {
    /// The server, such as `http://127.0.0.1:5232`.
    server: String,
    /// The address book on it, such as `/two_way/people/`.
    address_book: String,
}

/// An address book on a CardDAV server.
#[connector(name = "carddav", blocking)]
#[outgoing(Person, data = simple)]
#[incoming(Card, key = href, owns(name, email, phone))]
pub(crate) struct CardDav {
    book: AddressBook,
}

impl Connector for CardDav {
    type Settings = CardDavSettings;

    async fn connect(settings: CardDavSettings, _: &Cx) -> Result<Self, Failure> {
        let book = AddressBook::new(settings.server, settings.address_book);
        book.make()?;
        Ok(Self { book })
    }

    /// The server names the state of its address book, and says what has changed since one. Where it does not know that
    /// any more, all cards that there are tell which are gone.
    async fn poll(&self, since: Option<&str>, cx: &Cx) -> Result<Poll, Failure> {
        let name = cx.connector().as_str();
        let known = since.map(|since| self.book.changes(Some(since))).transpose()?.flatten();
        let is_all = known.is_none();
        let changes = match known {
            Some(changes) => changes,
            None => self
                .book
                .changes(None)?
                .ok_or_else(|| Failure::retry("the server does not tell its cards"))?,
        };
        let hrefs: Vec<String> = changes.present.iter().map(|(href, _)| href.clone()).collect();
        let cards = changes.present.into_iter().map(|(href, text)| Card { href, text });
        let poll = Poll::new(changes.token)
            .tasks(cards.map(|card| ExternalTask::update::<Self, Card>(name, &card)))
            .tasks(changes.gone.into_iter().map(|href| ExternalTask::gone(name, "card", href)));
        Ok(if is_all { poll.complete::<Self, Card>(hrefs) } else { poll })
    }
}

impl blocking::Outgoing<Person> for CardDav {
    fn deliver(&self, change: Change<Person>, _: &Cx) -> Result<(), Failure> {
        let person = &change.object;
        // A repetition of a create finds the card that it has made: it is called after the person.
        let href = change.external_id().map_or_else(|| self.book.href(person.guid), str::to_owned);
        if change.operation() == ObjectOperation::Delete {
            return self.book.delete(&href);
        }
        let stored = self.book.get(&href)?;
        let (mut contents, only_if) = match &stored {
            Some(stored) => (Contents::read(&stored.text)?, If::Unchanged(&stored.etag)),
            None => (Contents::new(&person.guid.to_string())?, If::Absent),
        };
        contents.take_over(person);
        if !self.book.put(&href, contents.to_string(), &only_if)? {
            return Err(Failure::retry("the card was changed in between"));
        }
        change.bind(href);
        Ok(())
    }
}

impl blocking::Incoming<Card> for CardDav {
    type Object = Person;

    fn prepare_internal_object(
        &self,
        received: Received<Card, Person>,
        _: &Cx,
    ) -> Result<Prepared<Person>, Failure> {
        let mut person = received.existing.unwrap_or_default();
        Contents::read(&received.object.text)?.tell(&mut person)?;
        Ok(person.into())
    }
}
