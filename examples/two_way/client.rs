//! As much of CardDAV (RFC 6352) as it takes: cards, and what has changed since a token (RFC 6578).

use std::time::Duration;

use bus_core::{Failure, OrFail};
use roxmltree::{Document, Node};
use ureq::Agent;
use ureq::http::{Request, Response, StatusCode};

const DAV: &str = "DAV:";
const CARDDAV: &str = "urn:ietf:params:xml:ns:carddav";

/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A server with address books.
pub(crate) struct Client {
    agent: Agent,
    /// `http://127.0.0.1:5232`
    server: String,
}

/// A card as the server hands it out.
pub(crate) struct StoredCard {
    pub(crate) etag: String,
    pub(crate) text: String,
}

/// What has changed in an address book.
pub(crate) struct Changes {
    /// What the server calls this state.
    pub(crate) token: String,
    /// The cards that are there: by their path, with what they say.
    pub(crate) present: Vec<(String, String)>,
    /// The paths of cards that are gone.
    pub(crate) gone: Vec<String>,
    /// Whether these are all cards that there are.
    pub(crate) is_all: bool,
}

/// What a card must be for it to be written.
pub(crate) enum If<'e> {
    /// It is not there.
    Absent,
    /// It is as it was.
    Unchanged(&'e str),
    /// Whatever it is.
    Anything,
}

impl Client {
    pub(crate) fn new(server: impl Into<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(TIMEOUT));
        Self { agent: config.build().into(), server: server.into() }
    }

    /// Makes an address book, if it is not there.
    pub(crate) fn make_address_book(&self, path: &str) -> Result<(), Failure> {
        if self.ask("PROPFIND", path, &[("Depth", "0")], String::new())?.status().is_success() {
            return Ok(());
        }
        let what = format!(
            r#"<mkcol xmlns="{DAV}" xmlns:C="{CARDDAV}"><set><prop><resourcetype><collection/><C:addressbook/></resourcetype></prop></set></mkcol>"#
        );
        let answer = self.ask("MKCOL", path, &[("Content-Type", "application/xml")], what)?;
        expect(&answer, "make the address book")
    }

    /// A card; `None` where there is none.
    pub(crate) fn get(&self, href: &str) -> Result<Option<StoredCard>, Failure> {
        let mut answer = self.ask("GET", href, &[], String::new())?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        expect(&answer, "read a card")?;
        let etag = answer.headers().get("ETag").and_then(|etag| etag.to_str().ok()).unwrap_or_default();
        let etag = etag.to_owned();
        Ok(Some(StoredCard { etag, text: answer.body_mut().read_to_string()? }))
    }

    /// Writes a card; whether it was as it must be.
    pub(crate) fn put(&self, href: &str, text: String, only_if: &If<'_>) -> Result<bool, Failure> {
        let mut headers = vec![("Content-Type", "text/vcard; charset=utf-8")];
        match only_if {
            If::Absent => headers.push(("If-None-Match", "*")),
            If::Unchanged(etag) => headers.push(("If-Match", etag)),
            If::Anything => {}
        }
        let answer = self.ask("PUT", href, &headers, text)?;
        if answer.status() == StatusCode::PRECONDITION_FAILED {
            return Ok(false);
        }
        expect(&answer, "write a card").map(|()| true)
    }

    /// Removes a card. That it is not there is as good.
    pub(crate) fn delete(&self, href: &str) -> Result<(), Failure> {
        let answer = self.ask("DELETE", href, &[], String::new())?;
        if answer.status() == StatusCode::NOT_FOUND { Ok(()) } else { expect(&answer, "remove a card") }
    }

    /// What has changed in an address book since this state; all there is where that is not given, or not known to the
    /// server any more.
    pub(crate) fn changes(&self, path: &str, since: Option<&str>) -> Result<Changes, Failure> {
        let what = format!(
            r#"<sync-collection xmlns="{DAV}" xmlns:C="{CARDDAV}"><sync-token>{}</sync-token><sync-level>1</sync-level><prop><getetag/><C:address-data/></prop></sync-collection>"#,
            since.unwrap_or_default()
        );
        let mut answer = self.ask("REPORT", path, &[("Content-Type", "application/xml")], what)?;
        let is_unknown =
            matches!(answer.status(), StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::GONE);
        if since.is_some() && is_unknown {
            return self.changes(path, None);
        }
        expect(&answer, "tell what has changed")?;
        read_changes(&answer.body_mut().read_to_string()?, since.is_none())
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Response<ureq::Body>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // The server asks for a name, and for no password.
        let request = request.header("Authorization", "Basic dHdvX3dheTo=");
        let answer = if body.is_empty() {
            self.agent.run(request.body(())?)
        } else {
            self.agent.run(request.body(body)?)
        };
        answer.map_err(|error| match error {
            ureq::Error::Io(error) => error.into(),
            ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => Failure::disconnected(error),
            error => error.into(),
        })
    }
}

fn expect(answer: &Response<ureq::Body>, what: &str) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let error = format!("asked to {what}, the server answers {status}");
    Err(match status {
        StatusCode::SERVICE_UNAVAILABLE => Failure::disconnected(error),
        // To repeat it would not help.
        StatusCode::BAD_REQUEST => Failure::reject(format!("{error}; see its log for what is wrong with it")),
        _ => Failure::retry(error),
    })
}

fn read_changes(text: &str, is_all: bool) -> Result<Changes, Failure> {
    let document = Document::parse(text)?;
    let root = document.root_element();
    let token = child(root, DAV, "sync-token").or_retry()?;
    let mut changes = Changes { token, present: Vec::new(), gone: Vec::new(), is_all };
    for response in root.children().filter(|node| node.has_tag_name((DAV, "response"))) {
        let href = child(response, DAV, "href").or_retry()?;
        match response.descendants().find(|node| node.has_tag_name((CARDDAV, "address-data"))) {
            Some(card) => changes.present.push((href, card.text().unwrap_or_default().to_owned())),
            None => changes.gone.push(href),
        }
    }
    Ok(changes)
}

fn child(node: Node<'_, '_>, namespace: &str, name: &str) -> Result<String, String> {
    let found = node.children().find(|node| node.has_tag_name((namespace, name)));
    let text = found.and_then(|node| node.text());
    text.map(str::to_owned).ok_or_else(|| format!("the server's answer has no `{name}`"))
}
