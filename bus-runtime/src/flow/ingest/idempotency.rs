//! What a sender calls one sending of an external object, and how the same is told from something else.

use bus_core::{ConnectorName, DataType, ErrorPolicy, Operation, SiteName};
use bus_store::IdempotencyKey;
use sha2::{Digest, Sha256};

use crate::error::{BusError, BusErrorKind};

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// All that is logged of an external object.
pub(super) struct Sent<'a> {
    pub(super) kind: &'a str,
    pub(super) operation: Operation,
    pub(super) content_type: &'a str,
    pub(super) site: Option<&'a SiteName>,
    pub(super) data_type: DataType,
    pub(super) policy: ErrorPolicy,
    pub(super) key: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The key with a digest of all that came with it.
pub(super) fn of(
    given: Option<&str>,
    what: &str,
    sent: &Sent<'_>,
) -> Result<Option<IdempotencyKey>, BusError> {
    let Some(key) = given else { return Ok(None) };
    if key.is_empty() {
        let message = format!("the idempotency key of {what} is empty; give each sending one, or none");
        return Err(BusError::new(BusErrorKind::Malformed, message));
    }
    if key.len() > KEY_BYTES_MAX {
        let message = format!(
            "the idempotency key of {what} is {} bytes, more than {KEY_BYTES_MAX}; send a shorter one, such as a UUID",
            key.len()
        );
        return Err(BusError::new(BusErrorKind::TooLarge, message));
    }
    Ok(Some(IdempotencyKey { key: key.to_owned(), digest: sent.digest() }))
}

/// The same key came with something else before.
pub(super) fn reused(connector: &ConnectorName, key: &str) -> BusError {
    let message = format!(
        "connector {connector} was given the idempotency key `{key}` before, with something else; send the same again, or \
         choose a new key"
    );
    BusError::new(BusErrorKind::KeyReused, message)
}

impl Sent<'_> {
    /// Each part with its length before it, so that no two sendings run together to the same bytes.
    fn digest(&self) -> Vec<u8> {
        let mut digest = Sha256::new();
        let operation = String::from(self.operation);
        let parts = [
            Some(self.kind.as_bytes()),
            Some(operation.as_bytes()),
            Some(self.content_type.as_bytes()),
            self.site.map(|site| site.as_str().as_bytes()),
            Some(self.data_type.as_str().as_bytes()),
            Some(self.policy.as_str().as_bytes()),
            self.key.map(str::as_bytes),
            Some(self.body),
        ];
        for part in parts {
            // What is not given is something else than what is empty.
            digest.update([u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use bus_core::ObjectOperation;

    use super::*;

    fn sent() -> Sent<'static> {
        Sent {
            kind: "contact",
            operation: ObjectOperation::Create.into(),
            content_type: "application/json",
            site: None,
            data_type: DataType::SimpleSnapshot,
            policy: ErrorPolicy::Default,
            key: None,
            body: b"{}",
        }
    }

    #[test]
    fn whatever_is_different_about_a_sending_is_noticed() {
        let site = SiteName::parse("corp").unwrap();
        let all = [
            sent(),
            Sent { kind: "account", ..sent() },
            Sent { operation: ObjectOperation::Update.into(), ..sent() },
            Sent { content_type: "text/xml", ..sent() },
            Sent { site: Some(&site), ..sent() },
            Sent { data_type: DataType::Simple, ..sent() },
            Sent { policy: ErrorPolicy::SkipOnce, ..sent() },
            Sent { key: Some(""), ..sent() },
            Sent { key: Some("{}"), body: b"", ..sent() },
            Sent { body: b"{ }", ..sent() },
        ];
        let digests: std::collections::BTreeSet<_> = all.iter().map(Sent::digest).collect();
        assert_eq!(digests.len(), all.len());
        assert_eq!(sent().digest(), sent().digest());
    }

    #[test]
    fn a_key_is_neither_empty_nor_long() {
        let check = |key: &str| of(Some(key), "the contact", &sent()).map_err(|error| error.kind());
        assert_eq!(check("").unwrap_err(), BusErrorKind::Malformed);
        assert_eq!(check(&"k".repeat(256)).unwrap_err(), BusErrorKind::TooLarge);
        assert_eq!(check(&"k".repeat(255)).unwrap().unwrap().digest.len(), 32);
    }
}
