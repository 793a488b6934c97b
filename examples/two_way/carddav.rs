//! Keeps two address books on a server, one of people and one of companies, in step with the application, both ways.

use bus_core::{
    Accepts, BusObject, Change, Connector, Cx, ExternalTask, Failure, ObjectOperation, Poll, Prepared,
    Received, Settings, blocking, connector,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::card::{Contents, OnCard};
use crate::client::{Changes, Client, If};
use crate::objects::{Company, Person};

/// The card of a person, as it was polled.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PersonCard {
    /// Where it is on the server: what it is called by.
    href: String,
    /// The vCard as the server handed it out.
    text: String,
}

/// The card of a company, as it was polled.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompanyCard {
    /// Where it is on the server: what it is called by.
    href: String,
    /// The vCard as the server handed it out.
    text: String,
}

#[derive(Deserialize, Settings)]
pub(crate) struct CardDavSettings {
    /// The server, such as `http://127.0.0.1:5232`.
    server: String,
    /// The address book of people, such as `/two_way/people/`.
    people: String,
    /// The address book of companies, such as `/two_way/companies/`.
    companies: String,
}

/// Two address books on a CardDAV server, of at most 1,000 cards together: all there is comes with one poll.
#[connector(name = "carddav", blocking, create_once = repeatable)]
#[outgoing(Company)]
#[outgoing(Person)]
#[incoming(CompanyCard, key = href, owns(name))]
#[incoming(PersonCard, key = href, owns(name, email, phone, company), conflict = merge_fields)]
pub(crate) struct CardDav {
    client: Client,
    people: String,
    companies: String,
}

impl Connector for CardDav {
    type Settings = CardDavSettings;

    async fn connect(settings: CardDavSettings, _: &Cx) -> Result<Self, Failure> {
        let CardDavSettings { server, people, companies } = settings;
        let client = Client::new(server);
        client.make_address_book(&people)?;
        client.make_address_book(&companies)?;
        Ok(Self { client, people, companies })
    }

    /// The server has a name for the state of an address book, and tells what has changed since. Both names together are
    /// how far the bus has come.
    async fn poll(&self, since: Option<&str>, cx: &Cx) -> Result<Poll, Failure> {
        let (companies, people) = since.and_then(|since| since.split_once(' ')).unzip();
        let companies = self.client.changes(&self.companies, companies)?;
        let people = self.client.changes(&self.people, people)?;
        let poll = Poll::new(format!("{} {}", companies.token, people.token));
        let name = cx.connector().as_str();
        let poll = add(poll, name, companies, |href, text| CompanyCard { href, text });
        Ok(add(poll, name, people, |href, text| PersonCard { href, text }))
    }
}

/// Adds what has changed in an address book. Where the server did not know since when, all cards that there are tell
/// which are gone.
fn add<E: Serialize>(poll: Poll, name: &str, changes: Changes, card: impl Fn(String, String) -> E) -> Poll
where
    CardDav: Accepts<E>,
{
    let Changes { token: _, present, gone, is_all } = changes;
    let hrefs: Vec<String> = present.iter().map(|(href, _)| href.clone()).collect();
    let cards = present.into_iter().map(|(href, text)| card(href, text));
    let kind = <CardDav as Accepts<E>>::KIND;
    let poll = poll
        .tasks(cards.map(|card| ExternalTask::update::<CardDav, E>(name, &card)))
        .tasks(gone.into_iter().map(|href| ExternalTask::gone(name, kind, href)));
    if is_all { poll.complete::<CardDav, E>(hrefs) } else { poll }
}

impl CardDav {
    /// Brings an object's card up to date. That its create is repeated does no harm: the card is called after the object.
    fn tell<T: BusObject + OnCard>(
        &self,
        change: &Change<T>,
        address_book: &str,
        guid: Uuid,
    ) -> Result<(), Failure> {
        let made = || format!("{address_book}{guid}.vcf");
        let href = change.external_id().map_or_else(made, str::to_owned);
        if change.operation() == ObjectOperation::Delete {
            return self.client.delete(&href);
        }
        let stored = self.client.get(&href)?;
        let (mut contents, only_if) = match &stored {
            Some(stored) => (Contents::read(&stored.text)?, If::Unchanged(&stored.etag)),
            None => (Contents::new(&guid.to_string())?, If::Absent),
        };
        change.object.write(&mut contents);
        if !self.client.put(&href, contents.to_string(), &only_if)? {
            return Err(Failure::retry("the card was changed in between"));
        }
        change.bind(href);
        Ok(())
    }
}

impl blocking::Outgoing<Company> for CardDav {
    fn deliver(&self, change: Change<Company>, _: &Cx) -> Result<(), Failure> {
        self.tell(&change, &self.companies, change.object.guid)
    }
}

impl blocking::Outgoing<Person> for CardDav {
    fn deliver(&self, change: Change<Person>, _: &Cx) -> Result<(), Failure> {
        self.tell(&change, &self.people, change.object.guid)
    }
}

impl blocking::Incoming<CompanyCard> for CardDav {
    type Object = Company;

    fn prepare_internal_object(
        &self,
        received: Received<CompanyCard, Company>,
        _: &Cx,
    ) -> Result<Prepared<Company>, Failure> {
        let mut company = received.existing.unwrap_or_default();
        company.take_over(&Contents::read(&received.object.text)?)?;
        Ok(company.into())
    }
}

impl blocking::Incoming<PersonCard> for CardDav {
    type Object = Person;

    fn prepare_internal_object(
        &self,
        received: Received<PersonCard, Person>,
        _: &Cx,
    ) -> Result<Prepared<Person>, Failure> {
        let mut person = received.existing.unwrap_or_default();
        person.take_over(&Contents::read(&received.object.text)?)?;
        Ok(person.into())
    }
}
